"""hypervisor_load.py PORT SOCKET SECONDS_MOST - a load on a daemon until SIGTERM, or for so long at most:

  - PER_SECOND requests of /healthz a second, over four connections
  - READERS readers of events with samples, which read, and IDLERS which never do
  - SLOW connections over TCP that send a byte now and then and never a request

Writes `ready` once all of it runs, and at the end what became of it as JSON."""
import json
import selectors
import signal
import socket
import sys
import time

PORT, PATH, MOST = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
PER_SECOND, READERS, IDLERS, SLOW = 12000, 100, 20, 1000
BATCH = 16           # requests that a connection sends at once, and has answered before the next
DRIP_S = 0.5         # between two bytes of a slow connection
FLOOD = b'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'
EVENTS = b'GET /api/v1/events?samples_hz=10 HTTP/1.1\r\nHost: localhost\r\n\r\n'


def local():
    opened = socket.socket(socket.AF_UNIX)
    opened.connect(PATH)
    return opened


def near():
    opened = socket.socket()
    opened.settimeout(1)
    opened.connect(('127.0.0.1', PORT))
    opened.setblocking(False)
    return opened


def is_held(connection):
    """The server has not closed it."""
    try:
        return connection.recv(1) != b''
    except BlockingIOError:
        return True
    except OSError:
        return False


def drip(connection):
    try:
        connection.send(b'G')
    except OSError:
        pass


class Flood:
    """One connection with requests, paced from outside."""

    def __init__(self):
        self.connection, self.left, self.good, self.rest = local(), 0, 0, b''

    def send(self):
        self.connection.sendall(FLOOD * BATCH)
        self.left = BATCH

    def take(self):
        """The number of answers that came; `good` of them were 200."""
        got = self.connection.recv(65536)
        if not got:
            raise SystemExit('the daemon has closed a connection')
        parts = (self.rest + got).split(b'HTTP/1.1 ')
        # An answer ends with its body, `ok` and a newline: what follows the last one is not whole yet.
        whole = [part for part in parts if part.endswith(b'\r\n\r\nok\n')]
        self.rest = b'' if parts[-1].endswith(b'\r\n\r\nok\n') else b'HTTP/1.1 ' + parts[-1]
        self.good += sum(part.startswith(b'200') for part in whole)
        self.left -= len(whole)
        return len(whole)


class Load:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.readers = [local() for _ in range(READERS)]
        self.idlers = [local() for _ in range(IDLERS)]
        self.samples = {reader: 0 for reader in self.readers}
        for reader in self.readers + self.idlers:
            reader.sendall(EVENTS)
            reader.setblocking(False)
        for reader in self.readers:
            self.selector.register(reader, selectors.EVENT_READ, None)
        self.floods = [Flood() for _ in range(4)]
        for flood in self.floods:
            self.selector.register(flood.connection, selectors.EVENT_READ, flood)
        self.slow, self.slow_refused = [], 0
        for _ in range(SLOW):
            try:
                self.slow.append(near())
            except OSError:
                self.slow_refused += 1
        self.held = []
        self.answered = self.asked = 0
        self.is_over = False

    def take_events(self, reader):
        got = reader.recv(65536)
        if not got:
            self.selector.unregister(reader)
        self.samples[reader] += got.count(b'event: sample')

    def look_at_slow(self):
        self.slow = [connection for connection in self.slow if is_held(connection)]
        self.held.append(len(self.slow))
        for connection in self.slow:
            drip(connection)

    def ask(self, due):
        for flood in self.floods:
            if not flood.left and self.asked < due:
                flood.send()
                self.asked += BATCH

    def run(self):
        began, looks = time.monotonic(), 0
        drip_due = began
        while not self.is_over and time.monotonic() < began + MOST:
            now = time.monotonic()
            # What cannot be had in time is not made up for later: the rate is what was really borne.
            self.asked = max(self.asked, int((now - began - 0.1) * PER_SECOND))
            self.ask((now - began) * PER_SECOND)
            for key, _ in self.selector.select(0.002):
                if key.data:
                    self.answered += key.data.take()
                else:
                    self.take_events(key.fileobj)
            if now > drip_due:
                drip_due += DRIP_S
                self.look_at_slow()
                looks += 1
                if looks == 3:  # by now those beyond the bound are closed
                    self.held.clear()
                    print('ready', flush=True)
        return time.monotonic() - began


def main():
    load = Load()

    def stop(_number, _frame):
        load.is_over = True

    signal.signal(signal.SIGTERM, stop)
    seconds = load.run()
    print(json.dumps({'answered': load.answered, 'good': sum(flood.good for flood in load.floods),
                      'per_second': load.answered / seconds, 'seconds': round(seconds, 1),
                      'was_asked_to_end': load.is_over, 'least_samples': min(load.samples.values()),
                      'slow_held_least': min(load.held, default=0), 'slow_held_most': max(load.held, default=0),
                      'slow_refused': load.slow_refused}))


if __name__ == '__main__':
    main()
