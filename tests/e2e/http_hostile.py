"""Requests that RFC 9112 has a server refuse, clients that never come to an end, and many of them."""
import os
import resource
import socket
import subprocess
import time

from http_fake import Fake, OPERATOR, PROGRAM, as_nobody, done, measured, ok, ok_memory, read_answer, readable, same

GET = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n'
POST = 'POST /api/v1/tenants HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' \
    f'Authorization: Bearer {OPERATOR}\r\n'
CHUNKED = POST + 'Transfer-Encoding: chunked\r\n'

# What has to be refused, and by what statuses. The body after each would be a good one.
HOSTILE = {
    'a length with a sign': (POST + 'Content-Length: +2\r\n\r\n{}', {400}),
    'a negative length': (POST + 'Content-Length: -2\r\n\r\n{}', {400}),
    'two different lengths': (POST + 'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}', {400}),
    'two equal lengths': (POST + 'Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}', {400}),
    'a list of lengths': (POST + 'Content-Length: 2, 2\r\n\r\n{}', {400}),
    'a length with a word': (POST + 'Content-Length: 2x\r\n\r\n{}', {400}),
    'a hexadecimal length': (POST + 'Content-Length: 0x2\r\n\r\n{}', {400}),
    'no length at all behind the name': (POST + 'Content-Length:\r\n\r\n{}', {400}),
    'a length beyond all numbers': (POST + 'Content-Length: 99999999999999999999999\r\n\r\n{}', {400, 413}),
    'a length with chunked': (CHUNKED + 'Content-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n', {400}),
    'a length before chunked': (POST + 'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n'
                                '2\r\n{}\r\n0\r\n\r\n', {400}),
    'xchunked': (POST + 'Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n', {400}),
    'gzip, chunked': (POST + 'Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n', {400}),
    'chunked and identity': (CHUNKED + 'Transfer-Encoding: identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n', {400}),
    'chunked behind a tabulator': (POST + 'Transfer-Encoding:\x0bchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n', {400}),
    'chunked in HTTP/1.0': (CHUNKED.replace('1.1', '1.0') + '\r\n2\r\n{}\r\n0\r\n\r\n', {400}),
    'chunked, folded': (POST + 'Transfer-Encoding: chun\r\n ked\r\n\r\n2\r\n{}\r\n0\r\n\r\n', {400}),
    'a space before the colon': (GET + 'X : y\r\n\r\n', {400}),
    'a length with a space before the colon': (POST + 'Content-Length : 2\r\n\r\n{}', {400}),
    'a folded field': (GET + 'X: y\r\n z\r\n\r\n', {400}),
    'a field folded with a tabulator': (GET + 'X: y\r\n\tz\r\n\r\n', {400}),
    'a fold at the end': (GET + 'X: y\r\n \r\n\r\n', {400}),
    'a fold at the beginning': ('GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n', {400}),
    'no Host': ('GET /healthz HTTP/1.1\r\n\r\n', {400}),
    'no Host but another field': ('GET /healthz HTTP/1.1\r\nX: y\r\n\r\n', {400}),
    'two Hosts': (GET + 'Host: localhost\r\n\r\n', {400}),
    'a NUL in a value': (GET + 'X: y\0z\r\nY: z\r\n\r\n', {400}),
    'a NUL in the last value': (GET + 'X: y\0z\r\n\r\n', {400}),
    'a NUL at a value\'s end': (GET + 'X: y\0\r\nY: z\r\n\r\n', {400}),
    'a NUL in a name': (GET + 'X\0X: y\r\n\r\n', {400}),
    'a line hidden behind a NUL': (GET + '\0\0X: y\r\n\r\n', {400}),
    'a line hidden behind a NUL, after LF alone': (GET + '\n\0X: y\r\n\r\n', {400}),
    'a NUL in the target': ('GET /healthz\0x HTTP/1.1\r\nHost: localhost\r\n\r\n', {400}),
    'a NUL in Host': ('GET /healthz HTTP/1.1\r\nHost: localhost\0.evil.example\r\n\r\n', {400}),
    'a CR alone': (GET + 'X: y\rZ: z\r\n\r\n', {400}),
    'a CR alone before Host': ('GET /healthz HTTP/1.1\r\nX: y\rHost: localhost\r\n\r\n', {400}),
    'lines that end with LF': ('GET /healthz HTTP/1.1\nHost: localhost\n\n', {400}),
    'one line that ends with LF': (GET + 'X: y\nY: z\r\n\r\n', {400}),
    'a field without a colon': (GET + 'nonsense\r\n\r\n', {400}),
    'a field without a name': (GET + ': y\r\n\r\n', {400}),
    'a name that is no token': (GET + 'X(y): z\r\n\r\n', {400}),
    'a control character in a value': (GET + 'X: \x01\r\n\r\n', {400}),
    'a target with a space': ('GET /healthz x HTTP/1.1\r\nHost: localhost\r\n\r\n', {400}),
    'a target with a fragment': ('GET /healthz#x HTTP/1.1\r\nHost: localhost\r\n\r\n', {400}),
    'a target with other than ASCII': ('GET /health\xe4 HTTP/1.1\r\nHost: localhost\r\n\r\n', {400}),
    'a target without a slash': ('GET healthz HTTP/1.1\r\nHost: localhost\r\n\r\n', {400}),
    'no target': ('GET HTTP/1.1\r\nHost: localhost\r\n\r\n', {400, 505}),
    'HTTP/0.9': ('GET /healthz\r\n\r\n', {400}),
    'HTTP/1.2': (GET.replace('1.1', '1.2') + '\r\n', {400, 505}),
    'HTTP/2.0': (GET.replace('1.1', '2.0') + '\r\n', {400, 505}),
    'another protocol': (GET.replace('HTTP/1.1', 'HTTX/1.1') + '\r\n', {400}),
    'TLS': ('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', {0, 400}),
    'a header of 64 KB': (GET + f'X: {"y" * 65536}\r\n\r\n', {431}),
    'ten thousand fields': (GET + 'X: y\r\n' * 10000 + '\r\n', {431}),
    'a chunked body': (CHUNKED + '\r\n2\r\n{}\r\n0\r\n\r\n', {411}),
    'a chunk whose line ends with LF': (CHUNKED + '\r\n2\n{}\n0\n\n', {411}),
    'a chunk with a sign': (CHUNKED + '\r\n+2\r\n{}\r\n0\r\n\r\n', {411}),
    'a chunk in 0x': (CHUNKED + '\r\n0x2\r\n{}\r\n0\r\n\r\n', {411}),
    'a chunk longer than it says': (CHUNKED + '\r\n2\r\n{}{}\r\n0\r\n\r\n', {411}),
    'a chunk beyond all numbers': (CHUNKED + '\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n', {411}),
}


def read_piece(connection):
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b''


def check_hostile(fake):
    same('a good request is good', fake.send((GET + '\r\n').encode()).status, 200)
    for length in (1000, 9000, 14000, 20000):
        raw = (GET + f'X: {"y" * length}\r\nEmpty:\r\nLast:  z \t \r\n\r\n').encode()
        ok(f'and so is one with a field of {length} bytes', fake.send(raw).status in (200, 431),
           fake.send(raw).status)
    same('one with 100 fields', fake.send((GET + 'X: y\r\n' * 100 + '\r\n').encode()).status, 200)
    same('an empty line before it is skipped', fake.send(('\r\n' + GET + '\r\n').encode()).status, 200)
    slowly = fake.connect()
    for byte in (GET + 'X: y\r\n\r\n'):
        slowly.sendall(byte.encode())
    same('one that comes byte by byte', read_answer(slowly).status, 200)
    slowly.close()
    for name, (raw, statuses) in HOSTILE.items():
        answer = fake.send(raw.encode('latin-1'))
        ok(f'refused: {name}', answer.status in statuses, f'{answer.status}, not one of {statuses}')
    for refused in (POST + 'Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}', CHUNKED + '\r\n0\r\n\r\n',
                    CHUNKED + '\r\n2\n{}\n0\n\n', CHUNKED + '\r\n2\r\n{}\r\n0\r\n\r\n'):
        with fake.connect() as connection:
            connection.sendall((refused + GET + '\r\n').encode())
            raw = b''
            while piece := read_piece(connection):
                raw += piece
            same('nothing behind a refused request is answered', raw.count(b'HTTP/1.1 '), 1)
    with fake.connect() as connection:
        connection.sendall((GET + '\r\n').encode() * 50)
        raw = b''
        while raw.count(b'200 OK') < 50 and (piece := connection.recv(65536)):
            raw += piece
        same('fifty good ones in one piece are answered', raw.count(b'200 OK'), 50)


def check_local(fake):
    """What any local user could send to a daemon of root's, over the unix socket."""
    os.chmod(fake.folder, 0o755)
    printed = subprocess.run([PROGRAM, '--routes'], capture_output=True, text=True, check=True).stdout
    changing = [line.replace('{name}', 'alpha').replace('{client_id}', 'worker_1') for line in printed.splitlines()
                if line.startswith(('POST', 'PUT', 'PATCH', 'DELETE'))]
    heads = ['Origin: http://x\r\n', 'Origin:\r\n', 'Origin: https://x\r\nSec-Fetch-Site: none\r\n']
    requests = [(raw, statuses) for raw, statuses in HOSTILE.values()]
    requests += [(f'{line} HTTP/1.0\r\n{head}Content-Type: application/json\r\n\r\n', {401, 403})
                 for line in changing for head in heads]

    def send_all():
        wrong = 0
        for raw, statuses in requests:
            status = fake.send(raw.encode('latin-1'), is_unix=True).status
            if status not in statuses:
                print(f'#   {status}, not one of {statuses}: {raw[:200]!r}', flush=True)
                wrong += 1
        return min(wrong, 254)

    ok('there are many changing routes', len(changing) > 8, changing)
    same('another user at the unix socket is refused all of it', as_nobody(send_all), 0)
    same('and the daemon serves on', fake.ask('GET', '/healthz', is_unix=True).status, 200)


def check_slow(fake):
    begin = time.monotonic()
    with fake.connect() as connection:
        connection.sendall((POST + 'Content-Length: 2\r\n\r\n{').encode())
        answer = read_answer(connection)
    measured(f'a body that never comes is given up after {time.monotonic() - begin:.1f} s (idle time: 2)')
    ok('a body that never comes ends the connection', answer.status in (0, 408) and
       time.monotonic() - begin < 8)
    begin = time.monotonic()
    with fake.connect() as connection:
        try:
            for _ in range(100):
                connection.sendall(b'X')
                if readable(connection, 0.2):
                    break
        except OSError:
            pass
    measured(f'a header that comes a byte each 0.2 s is given up after {time.monotonic() - begin:.1f} s '
             '(request time: 4)')
    ok('a header that trickles ends the connection', time.monotonic() - begin < 8)


def check_loris(fake):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    before = fake.memory_kib()
    held = []
    for _ in range(1000):
        try:
            connection = socket.create_connection(('127.0.0.1', fake.port), timeout=1)
            connection.sendall(GET.encode())
            held.append(connection)
        except OSError:
            pass
    same('others are served over the unix socket meanwhile', fake.ask('GET', '/healthz', is_unix=True).status, 200)
    grown = fake.memory_kib() - before
    measured(f'{len(held)} slow connections cost {grown} KiB')
    ok_memory('a thousand slow connections cost less than 32 MiB', grown, 32 * 1024)
    begin = time.monotonic()
    status = 0
    while status != 200 and time.monotonic() - begin < 15:
        try:
            status = fake.ask('GET', '/healthz').status
        except OSError:
            status = 0
    measured(f'TCP was free again after {time.monotonic() - begin:.1f} s')
    same('and are gone after the idle time', status, 200)
    for connection in held:
        connection.close()


def check_late(fake):
    fake.say('hold')
    begin = time.monotonic()
    answer = fake.ask('PATCH', '/api/v1/tenants/alpha', {'weight': 2}, token=OPERATOR)
    same('a loop that does not answer is 504', answer.status, 504)
    ok('after five seconds', 4.9 < time.monotonic() - begin < 7, time.monotonic() - begin)
    waiting = fake.connect()
    body = '{"weight":2}'
    waiting.sendall((f'PATCH /api/v1/tenants/alpha HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}'
                     f'\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}').encode())
    gone = fake.connect()
    gone.sendall((f'DELETE /api/v1/tenants/alpha HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}'
                  '\r\n\r\n').encode())
    gone.close()
    same('others are served while it waits', fake.ask('GET', '/healthz').status, 200)
    fake.say('release')
    same('what is done late is answered', read_answer(waiting).status, 204)
    waiting.close()
    fake.say('stall')
    begin = time.monotonic()
    while fake.ask('GET', '/healthz').status == 200 and time.monotonic() - begin < 10:
        time.sleep(0.1)
    took = time.monotonic() - begin
    measured(f'a loop that has stopped shows in /healthz after {took:.1f} s')
    answer = fake.ask('GET', '/healthz')
    ok('a loop that has stopped is not well', answer.status == 503 and 2 < took < 5)
    same('and named', answer.json()['faults'][-1]['component'], 'loop')
    same('nor is it ready', fake.ask('GET', '/readyz').status, 503)


def check_stop():
    with Fake() as fake:
        fake.say('hold')
        waiting = fake.connect()
        waiting.sendall((f'DELETE /api/v1/tenants/alpha HTTP/1.1\r\nHost: localhost\r\nAuthorization: '
                         f'Bearer {OPERATOR}\r\n\r\n').encode())
        idle = [fake.connect() for _ in range(10)]
        same('it is served', fake.ask('GET', '/healthz').status, 200)
        _, took = fake.stop()
        ok('a server stops while a request waits for the loop', took < 5, took)
        for connection in (waiting, *idle):
            connection.close()


with Fake() as server:
    check_hostile(server)
    if os.geteuid() == 0:
        check_local(server)
    check_slow(server)
    check_loris(server)
    check_late(server)
check_stop()
done()
