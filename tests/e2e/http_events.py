"""Server-sent events: what a reader gets, from where it reads on, and readers that do not read."""
import json
import select
import time

from http_fake import Fake, done, measured, ok, ok_memory, same

READERS_MAX = 256


def subscribe(fake, query='', fields=(), is_unix=True):
    connection = fake.connect(is_unix)
    lines = [f'GET /api/v1/events{query} HTTP/1.1', 'Host: localhost', *fields, '', '']
    connection.sendall('\r\n'.join(lines).encode())
    return connection


class Reader:
    """Takes a stream apart; chunks are put together."""

    def __init__(self, connection):
        self.connection = connection
        self.raw = b''
        self.has_header = False
        self.status = 0
        self.fields = b''
        self.text = ''
        self.is_closed = False

    def pump(self):
        piece = self.connection.recv(65536)
        self.is_closed = not piece
        self.raw += piece
        if not self.has_header:
            head, ended, rest = self.raw.partition(b'\r\n\r\n')
            if not ended:
                return
            self.has_header, self.raw, self.fields = True, rest, head
            self.status = int(head.split()[1])
        while True:
            size, ended, rest = self.raw.partition(b'\r\n')
            if not ended or len(rest) < int(size, 16) + 2:
                return
            self.text += rest[:int(size, 16)].decode()
            self.raw = rest[int(size, 16) + 2:]

    def read_until(self, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition(self.text) and not self.is_closed and time.monotonic() < end:
            self.pump()
        return condition(self.text)

    def events(self, kind=None):
        found = []
        for block in self.text.split('\n\n')[:-1]:
            event = dict(line.split(': ', 1) for line in block.split('\n') if not line.startswith(':'))
            if 'data' in event and kind in (None, event['event']):
                found.append((event.get('id'), event['event'], json.loads(event['data'])))
        return found


def has(number):
    return lambda text: text.count('\ndata: ') >= number


def check_order(fake):
    fake.say('event the first')
    reader = Reader(subscribe(fake))
    ok('a stream begins at once', reader.read_until(lambda text: 'retry:' in text))
    ok('as an event stream', b'Content-Type: text/event-stream' in reader.fields)
    fake.say('event the second')
    begin = time.monotonic()
    fake.say('event the third')
    ok('events come', reader.read_until(has(2)))
    measured(f'an event reached its reader after {(time.monotonic() - begin) * 1000:.1f} ms at most')
    same('those from now on, in order', [event[2]['text'] for event in reader.events()],
         ['the second', 'the third'])
    number, kind, data = reader.events()[0]
    same('an event has its number twice, and its kind', (number, kind, data['number'], data['kind']),
         ('2', 'tenant-changed', 2, 'tenant-changed'))
    same('its tenant, and null where there is no process', (data['tenant'], data['pid']), ('alpha', None))
    for query, fields in (('?after=1', ()), ('?after=0', ('Last-Event-ID: 1',))):
        again = Reader(subscribe(fake, query, fields))
        again.read_until(has(2))
        same(f'{query} {fields} reads on behind', [event[0] for event in again.events()], ['2', '3'])
    fake.say('events 1100')
    gap = Reader(subscribe(fake, '?after=1'))
    gap.read_until(has(1024))
    ok('who comes too late is told of the gap', gap.text.startswith(': gap'))
    same('and gets what there is', [gap.events()[0][0], len(gap.events())], ['80', 1024])
    other = Reader(subscribe(fake, '?after=999999'))
    other.read_until(has(1))
    ok('so is who knows another daemon\'s numbers', other.text.startswith(': gap'))
    for each in (reader, again, gap, other):
        each.connection.close()


def check_samples(fake):
    reader = Reader(subscribe(fake, '?samples_hz=5'))
    begin = time.monotonic()
    reader.read_until(lambda text: text.count('event: sample') >= 6)
    took = time.monotonic() - begin
    measured(f'six samples at 5 Hz took {took:.2f} s')
    ok('samples come at the pace asked for', 0.9 < took < 2)
    sample = reader.events('sample')[0][2]
    ok('a sample has its time, the GPUs and the tenants',
       len(sample['gpus']) == 2 and len(sample['tenants']) == 3 and sample['unix_ms'] > 10**12)
    ok('what is not known is null in it', sample['gpus'][1]['busy_percent'] is None)
    reader.connection.close()
    head = fake.ask('HEAD', '/api/v1/events')
    same('HEAD of a stream has no body', (head.status, head.body), (200, b''))


def check_many(fake):
    before = fake.memory_kib()
    readers = [Reader(subscribe(fake, '?samples_hz=10')) for _ in range(50)]
    lazy = [subscribe(fake, '?samples_hz=10') for _ in range(50)]
    for reader in readers:
        reader.read_until(lambda text: 'retry:' in text)
    begin = time.monotonic()
    for i in range(40):
        fake.say('events 99')
        fake.say(f'event round {i}.')
        for reader in readers:
            reader.read_until(lambda text, wanted=f'round {i}.': wanted in text)
    measured(f'4000 events to 50 readers beside 50 that do not read: {time.monotonic() - begin:.2f} s')
    fake.say('event the last')
    served = sum(reader.read_until(lambda text: 'the last' in text, 20) for reader in readers)
    same('readers are served beside those that do not read', served, 50)
    grown = fake.memory_kib() - before
    measured(f'100 readers, half of whom do not read, cost {grown} KiB')
    ok_memory('who does not read costs little', grown, 16 * 1024)
    same('others are served, too', fake.ask('GET', '/healthz').status, 200)
    for each in lazy:
        each.close()
    for reader in readers:
        reader.connection.close()


def check_limit(fake):
    readers = []
    for _ in range(READERS_MAX + 1):
        readers.append(Reader(subscribe(fake)))
    for reader in readers:
        while not reader.has_header:
            reader.pump()
    same('so many readers are taken', sum(reader.status == 200 for reader in readers), READERS_MAX)
    same('and one more is not', readers[-1].status, 503)
    for reader in readers:
        reader.connection.close()
    begin = time.monotonic()
    while time.monotonic() - begin < 5:
        last = Reader(subscribe(fake))
        while not last.has_header:
            last.pump()
        last.connection.close()
        if last.status == 200:
            break
        time.sleep(0.05)
    measured(f'the places of readers that went were free after {time.monotonic() - begin:.2f} s')
    same('whose place is free when one goes', last.status, 200)


def check_slow(fake):
    """One that takes nothing: the socket's buffers fill, and it is closed after the idle time."""
    lazy = subscribe(fake, '?samples_hz=10')
    hung_up = select.poll()
    hung_up.register(lazy, 0)
    for _ in range(100):
        fake.say('events 1000')
    begin = time.monotonic()
    is_closed = bool(hung_up.poll(10000))
    measured(f'a reader that does not read is sent away after {time.monotonic() - begin:.1f} s (idle time: 2)')
    ok('a reader that does not read is sent away', is_closed)
    lazy.close()


with Fake() as server:
    check_order(server)
    check_samples(server)
with Fake() as server:
    check_many(server)
with Fake() as server:
    check_limit(server)
    check_slow(server)
with Fake() as server:
    held = [Reader(subscribe(server, '?samples_hz=10')) for _ in range(20)]
    for each in held:
        each.read_until(has(1))
    _, seconds = server.stop()
    ok('a server with readers stops at once', seconds < 3, seconds)
    for each in held:
        while not each.is_closed:
            each.pump()
    ok('and they see the end', all(each.is_closed for each in held))
done()
