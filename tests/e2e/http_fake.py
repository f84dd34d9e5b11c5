"""What the tests of the HTTP server share: the fake daemon (tests/guest/http_fake.c), raw sockets, TAP.

A test is `with Fake() as fake: ...; ok('a sentence about behaviour', condition)` and, at its end, `done()`.
"""
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STAGE = os.environ.get('VGPU_STAGE', os.path.join(ROOT, 'build', 'stage', 'usr'))
# Beside the stage, and not in VGPU_GUESTS: nothing is preloaded into it, so it can be sanitized.
PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.normpath(STAGE))), 'tests', 'guest', 'http_fake')
# Then memory is no measure of ours.
IS_SANITIZED = bool(os.environ.get('VGPU_TEST_SANITIZED'))
OPERATOR = 'operator-token-0123456789'
READER = 'reader-token-0123456789'
POD = 'pod-token-0123456789-abcdef'
EXPIRED = 'expired-token-0123456789'
SOON = 'soon-expired-token-0123456789'
SOON_SECONDS = 4  # after the server's start
OTHER_POD = 'other-pod-token-0123456789'
EXPIRED_POD = 'expired-pod-token-0123456789'
TOKENS = f"""# for tests
{OPERATOR} operator
{READER} reader expires=2999-01-01T00:00:00Z
{POD} pod default/worker-1
{OTHER_POD} pod default/worker-2
{EXPIRED_POD} pod default/worker-1 expires=2020-01-01T00:00:00Z
{EXPIRED} operator expires=2020-01-01T00:00:00Z
"""

_counts = {'all': 0, 'failed': 0}


def ok(sentence, condition, more=''):
    _counts['all'] += 1
    if not condition:
        _counts['failed'] += 1
    print(f"{'ok' if condition else 'not ok'} {_counts['all']} - {sentence}")
    if not condition and more != '':
        print(f'#   {more}')
    sys.stdout.flush()


def same(sentence, got, wanted):
    ok(sentence, got == wanted, f'got {got!r}, wanted {wanted!r}')


def ok_memory(sentence, grown_kib, limit_kib):
    """Less memory than that was taken, as far as that can be told."""
    if IS_SANITIZED:
        sentence += ' # SKIP sanitized'
    ok(sentence, IS_SANITIZED or grown_kib < limit_kib, f'{grown_kib} KiB')


def measured(words):
    print(f'# measured: {words}')


def done():
    print(f"1..{_counts['all']}")
    sys.exit(1 if _counts['failed'] else 0)


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b'\r\n\r\n')
        lines = head.decode('latin-1').split('\r\n')
        words = lines[0].split(' ', 2)
        self.status = int(words[1]) if len(words) > 1 else 0
        self.fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(':')
            self.fields[name.strip().lower()] = value.strip()

    def json(self):
        return json.loads(self.body)

    @property
    def is_problem(self):
        return self.fields.get('content-type') == 'application/problem+json' and \
            self.json()['status'] == self.status


class Fake:
    """The program, listening on 127.0.0.1 and on a unix socket."""

    def __init__(self, *addresses):
        self.folder = tempfile.mkdtemp(prefix='vg', dir='/tmp')
        self.path = os.path.join(self.folder, 'http')
        tokens = os.path.join(self.folder, 'tokens')
        self.expires = int(time.time()) + SOON_SECONDS
        ends = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(self.expires))
        with open(os.open(tokens, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as file:
            file.write(TOKENS + f'{SOON} reader expires={ends}\n')
        self.process = subprocess.Popen(
            [PROGRAM, '--tokens', tokens, '127.0.0.1:0', self.path, *addresses],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = []
        for line in self.process.stdout:
            if line == 'ready\n':
                break
            self.ports.append(int(line.split()[1]))
        self.port = self.ports[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        status, _ = self.stop()
        ok('the server ends well', status == 0, f'status {status}')
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        os.rmdir(self.folder)

    def say(self, line):
        """Has the program do something, and waits until it is done."""
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def stop(self):
        """Its exit status, and the seconds that stopping took."""
        begin = time.monotonic()
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode, time.monotonic() - begin

    def metric(self, name):
        """The value of a metric of the node's."""
        lines = self.ask('GET', '/metrics').body.decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(name + '{'))

    def memory_kib(self):
        with open(f'/proc/{self.process.pid}/status') as file:
            return next(int(line.split()[1]) for line in file if line.startswith('VmRSS'))

    def connect(self, is_unix=False):
        if is_unix:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self.path)
        else:
            connection = socket.create_connection(('127.0.0.1', self.port))
        connection.settimeout(15)
        return connection

    def send(self, raw, is_unix=False):
        """Sends bytes; all that comes until the other side closes or one whole answer is there."""
        with self.connect(is_unix) as connection:
            try:
                connection.sendall(raw)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return read_answer(connection)

    def ask(self, method, path, body=None, fields=(), is_unix=False, token=None):
        lines = [f'{method} {path} HTTP/1.1', 'Connection: close']
        names = [field.split(':')[0].lower() for field in fields]
        if 'host' not in names:
            lines.append(f'Host: 127.0.0.1:{self.port}')
        if token:
            lines.append(f'Authorization: Bearer {token}')
        if body is not None:
            if not isinstance(body, bytes):
                body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            lines.append(f'Content-Length: {len(body)}')
            if 'content-type' not in names:
                lines.append('Content-Type: application/json')
        raw = '\r\n'.join([*lines, *fields, '', '']).encode()
        return self.send(raw + (body or b''), is_unix)


def read_answer(connection):
    """One answer: until the end of the connection, or of a body whose length is told."""
    raw = b''
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            break
        except socket.timeout:
            return Answer(b'HTTP/1.1 0 silence\r\n\r\n')
        if not piece:
            break
        raw += piece
        head, ended, body = raw.partition(b'\r\n\r\n')
        if ended and head.startswith(b'HTTP/1.1 100'):
            raw = body
            continue
        length = Answer(raw).fields.get('content-length')
        if ended and length is not None and len(body) >= int(length):
            break
    return Answer(raw)


def readable(connection, seconds):
    return bool(select.select([connection], [], [], seconds)[0])


def as_nobody(function, uid=65534):
    """What the function returns (a small number) where it runs as another user."""
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(uid)
        try:
            os._exit(function())
        except Exception as error:
            print(f'#   as another user: {error!r}', flush=True)
        finally:
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
