"""hypervisor_load.py PORT SOCKET REQUESTS - a bounded load on a daemon: 100 readers of events, of which every other one never
reads; 1000 connections that send a byte now and then and never a request; and REQUESTS requests of /healthz over four
connections. Ends when the requests are answered, and prints what became of it as JSON."""
import json
import selectors
import socket
import sys
import time

PORT, PATH, REQUESTS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
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


def send_byte(connection):
    try:
        connection.send(b'G')
    except OSError:
        return False
    return True


readers = []
for number in range(100):
    reader = local()
    reader.sendall(EVENTS)
    reader.setblocking(False)
    readers.append(reader)
slow = []
refused = 0
for number in range(1000):
    try:
        slow.append(near())
    except OSError:
        refused += 1
flood = [local() for _ in range(4)]
selector = selectors.DefaultSelector()
for connection in flood:
    selector.register(connection, selectors.EVENT_READ)
    connection.sendall(FLOOD)
answered = good = dripped = read_bytes = 0
sent = len(flood)
began = due = time.monotonic()
while answered < REQUESTS:
    for key, _ in selector.select(5):
        answer = key.fileobj.recv(4096)
        answered += 1
        good += answer.startswith(b'HTTP/1.1 200')
        if sent < REQUESTS:
            key.fileobj.sendall(FLOOD)
            sent += 1
    if time.monotonic() > due:
        due += 0.5
        slow = [connection for connection in slow if send_byte(connection)]
        dripped += len(slow)
        for reader in readers[::2]:
            try:
                read_bytes += len(reader.recv(65536))
            except BlockingIOError:
                pass
seconds = time.monotonic() - began
print(json.dumps({'answered': answered, 'good': good, 'per_second': answered / seconds, 'slow_open': len(slow),
                  'slow_refused': refused, 'events_bytes': read_bytes}))
