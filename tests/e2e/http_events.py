"""Server-sent events: what a reader gets, from where it reads on, and readers that do not read."""
import json
import os
import select
import subprocess
import tempfile
import time

from http_fake import READER, SOON, STAGE, Fake, as_nobody, done, measured, ok, ok_memory, same

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


def readers_become(fake, wanted, seconds=5):
    """How many are counted, once it is so many: who hung up is there until the server sees it."""
    end = time.monotonic() + seconds
    while (count := fake.metric('vgpu_event_readers')) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    return count


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
    same('one of which is the oldest that is kept', other.events()[0][0], '80')
    for each in (reader, again, gap, other):
        each.connection.close()


def check_finite(fake):
    """Streams that end by themselves."""
    for query, fields, wanted in (('', (), ['1', '2', '3']), ('&after=0', (), ['1', '2', '3']),
                                  ('&after=2', (), ['3']), ('', ('Last-Event-ID: 1',), ['2', '3']),
                                  ('&after=3', (), []), ('&samples_hz=10', (), ['1', '2', '3'])):
        reader = Reader(subscribe(fake, '?follow=false' + query, fields))
        reader.read_until(lambda text: False)
        same(f'follow=false{query} {fields} ends with the newest event',
             [reader.is_closed, [event[0] for event in reader.events() if event[1] != 'sample']], [True, wanted])
        reader.connection.close()
    same('follow is true or false', fake.ask('GET', '/api/v1/events?follow=no').status, 400)
    fake.say('events 1100')
    reader = Reader(subscribe(fake, '?follow=false&after=0'))
    reader.read_until(lambda text: False)
    same('all that is kept is no gap', [reader.is_closed, len(reader.events()), 'gap' in reader.text],
         [True, 1024, False])
    reader.connection.close()
    same('no reader is left, and none was dropped',
         [readers_become(fake, 0), fake.metric('vgpu_event_readers_dropped_total')], [0, 0])


def check_command():
    """vgpu events without --follow, which finds the server's socket in the runtime folder."""
    with tempfile.TemporaryDirectory(prefix='vg', dir='/tmp') as folder:
        with Fake(os.path.join(folder, 'api')) as fake:
            fake.say('event the first')
            fake.say('event the last')
            listed = subprocess.run([os.path.join(STAGE, 'bin', 'vgpu'), 'events'], capture_output=True, text=True,
                                    timeout=20, check=False, env={**os.environ, 'VGPU_RUNTIME_DIR': folder})
            same('vgpu events lists what there is, and ends', [listed.returncode] + [
                line.split('  ')[-1].strip() for line in listed.stdout.splitlines()], [0, 'the first', 'the last'])


def check_tokens(fake):
    """A stream ends with the token that it was asked for with."""
    def by(token):
        reader = Reader(subscribe(fake, fields=[f'Authorization: Bearer {token}'] if token else []))
        reader.read_until(lambda text: 'retry:' in text)
        return reader

    soon, known, nobody = by(SOON), by(READER), by(None)
    ok('with a token that is still good there are events', soon.status == 200)
    soon.read_until(lambda text: False)
    ok('and none after its end', soon.is_closed and 0 <= time.time() - fake.expires < 3, time.time() - fake.expires)
    same('from when on it is 401', fake.ask('GET', '/api/v1/node', token=SOON).status, 401)
    fake.say('event still heard')
    ok('others hear on', known.read_until(has(1)) and nobody.read_until(has(1)))
    fake.say('tokens')
    known.read_until(lambda text: False)
    ok('tokens that are read again end the streams that came with one', known.is_closed)
    fake.say('event heard by nobody')
    ok('and no others', nobody.read_until(has(2)))
    again = by(READER)
    same('who has a good one comes again', again.status, 200)
    for reader in (soon, known, nobody, again):
        reader.connection.close()


def check_samples(fake):
    begin = time.monotonic()
    reader = Reader(subscribe(fake, '?samples_hz=5'))
    reader.read_until(lambda text: text.count('event: sample') >= 6)
    took = time.monotonic() - begin
    measured(f'six samples at 5 Hz took {took:.2f} s')
    # Not sooner, and not as slowly as at 1 Hz, however busy the machine is.
    ok('samples come at the pace asked for', 0.9 < took < 5, took)
    sample = reader.events('sample')[0][2]
    ok('a sample has its time, the GPUs and the tenants',
       len(sample['gpus']) == 2 and len(sample['tenants']) == 3 and sample['unix_ms'] > 10**12)
    same('as many as are connected are counted', readers_become(fake, 1), 1)
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


def check_shares(fake):
    """What one user that is no operator takes of the readers' places."""
    os.chmod(fake.folder, 0o755)

    def hoard():
        readers = [Reader(subscribe(fake)) for _ in range(40)]
        for reader in readers:
            while not reader.has_header:
                reader.pump()
        refused = [reader for reader in readers if reader.status == 503]
        if any(b'Retry-After: ' not in reader.fields for reader in refused):
            return 255
        return sum(reader.status == 200 for reader in readers)

    same('another user has so many readers, and is told when to come again', as_nobody(hoard), 32)


def check_overtaken(fake):
    """One that reads again, but too late: the events have gone past it."""
    before = fake.metric('vgpu_event_readers_dropped_total')
    reader = Reader(subscribe(fake))
    for _ in range(20):
        fake.say('events 1000')
    reader.read_until(lambda text: False)
    ok('a reader that fell behind is told so and sent away',
       reader.is_closed and reader.text.split('\n\n')[-2].startswith(': gap: you were too slow'), reader.text[-200:])
    same('which is counted once', fake.metric('vgpu_event_readers_dropped_total'), before + 1)
    reader.connection.close()


def check_slow(fake):
    """One that takes nothing: the socket's buffers fill, and it is closed after the idle time."""
    before = fake.metric('vgpu_event_readers_dropped_total')
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
    same('which is counted', fake.metric('vgpu_event_readers_dropped_total'), before + 1)


with Fake() as server:
    check_tokens(server)
with Fake() as server:
    check_order(server)
    check_samples(server)
with Fake() as server:
    server.say('events 3')
    check_finite(server)
check_command()
with Fake() as server:
    check_many(server)
with Fake() as server:
    check_limit(server)
    if os.geteuid() == 0:
        check_shares(server)
    check_overtaken(server)
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
