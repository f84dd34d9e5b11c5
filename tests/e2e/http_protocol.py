"""What the HTTP server answers to whom: methods, bodies, queries, callers."""
import os
import socket
import stat
import time

from http_fake import EXPIRED, Fake, OPERATOR, POD, READER, as_nobody, done, ok, read_answer, same

TENANTS = '/api/v1/tenants'


def check_methods(fake):
    answer = fake.ask('GET', '/healthz')
    same('health is 200', (answer.status, answer.body), (200, b'ok\n'))
    for name, value in (('x-content-type-options', 'nosniff'), ('cache-control', 'no-store')):
        same(f'an answer has {name}', answer.fields.get(name), value)
    ok('an answer has a Content-Security-Policy', 'content-security-policy' in answer.fields)
    ok('no answer tells the server\'s name', 'server' not in answer.fields)
    head = fake.ask('HEAD', '/api/v1/gpus')
    same('HEAD is GET without a body', (head.status, head.body), (200, b''))
    ok('HEAD tells the length', int(head.fields['content-length']) > 100)
    options = fake.ask('OPTIONS', f'{TENANTS}/alpha')
    same('OPTIONS tells the methods', (options.status, options.fields.get('allow')),
         (204, 'OPTIONS, HEAD, GET, PATCH, DELETE'))
    wrong = fake.ask('PUT', TENANTS, {})
    same('another method is 405, with those that there are', (wrong.status, wrong.fields.get('allow')),
         (405, 'OPTIONS, HEAD, GET, POST'))
    ok('405 is a problem', wrong.is_problem)
    for method in ('BREW', 'get', 'CONNECT', 'TRACE'):
        same(f'{method} is 405', fake.ask(method, '/healthz').status, 405)
    for path in ('/index.html', '/api/v1', '/api/v1/', '/healthz/', '//healthz', f'{TENANTS}/', f'{TENANTS}/a/b',
                 f'{TENANTS}/alpha%2Fexplain', '/api/v1/../../healthz'):
        status = fake.ask('GET', path).status
        ok(f'{path} is not there', status in (400, 404), status)
    for path in (f'{TENANTS}/a%00b', f'{TENANTS}/a%', f'{TENANTS}/%zz', f'{TENANTS}/%2e%2e', '/healthz?x=1',
                 '/healthz?', '/api/v1/events?after=-1', '/api/v1/events?after=1&after=2',
                 '/api/v1/events?samples_hz=0.05', '/api/v1/events?samples_hz=11',
                 '/api/v1/events?samples_hz=nan', f'{TENANTS}/alpha?force=true'):
        answer = fake.ask('GET', path)
        ok(f'GET {path} is a bad request', answer.status == 400 and answer.is_problem, answer.status)
    same('a long target is 414', fake.ask('GET', '/' + 'x' * 3000).status, 414)
    same('an escape is decoded once', fake.ask('GET', f'{TENANTS}/%61lpha').status, 200)
    same('and not twice', fake.ask('GET', f'{TENANTS}/%2561lpha').status, 400)
    tag = fake.ask('GET', '/api/v1/gpus')
    fake.say('stall')
    tag = fake.ask('GET', '/api/v1/gpus').fields['etag']
    again = fake.ask('GET', '/api/v1/gpus', fields=[f'If-None-Match: {tag}'])
    same('what is known is 304, without a body', (again.status, again.body), (304, b''))
    for known, status in ((f'W/{tag}', 304), (f'"x", {tag}', 304), (f'"x",W/"y" ,W/{tag}, "z"', 304), ('*', 304),
                          ('"x"', 200), (tag[:-1], 200), (tag.strip('"'), 200), (f'{tag}x', 200), ('', 200)):
        same(f'If-None-Match: {known} is {status}',
             fake.ask('GET', '/api/v1/gpus', fields=[f'If-None-Match: {known}']).status, status)
    same('what has no tag is not known', fake.ask('GET', '/healthz', fields=['If-None-Match: *']).status, 200)
    fake.say('go on')
    with fake.connect() as connection:
        for i in range(3):
            connection.sendall(b'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
            ok(f'a connection is good for request {i + 1}', b'200 OK' in connection.recv(65536))


def check_bodies(fake):
    def post(body, **more):
        return fake.ask('POST', TENANTS, body, token=OPERATOR, **more)

    made = post({'name': 'new', 'memory': '8GiB', 'compute': 12.5, 'gpus': [1], 'weight': 3,
                 'priority': 'high', 'on_loss': 'closed', 'queue_seconds': 0.5})
    same('a tenant is made', (made.status, made.fields.get('location')), (201, f'{TENANTS}/new'))
    same('and says where', made.json(), {'name': 'new', 'gpus': ['GPU-00000000-0000-0000-0000-000000000001']})
    same('one without a name gets one', post({}).json()['name'], 'tenant-1')
    same('a name that is taken is a conflict', post({'name': 'alpha'}).status, 409)
    same('what does not fit is a conflict', post({'memory': '99GiB'}).status, 409)
    for body in ('', '[]', '{', '{"name":"a"}x', '{"name":"a","name":"b"}', {'nmae': 'a'}, {'name': 'a/b'},
                 {'name': ''}, {'name': 'x' * 64}, {'name': 3}, {'memory': -1}, {'memory': 1.5},
                 {'memory': '8Q'}, {'memory': True}, {'memory': '101%'}, {'compute': 0}, {'compute': 101},
                 {'compute': '30%%'}, {'compute': 1.00001}, {'compute': [1]}, {'weight': 0},
                 {'weight': 1001}, {'weight': '3'}, {'weight': 1.5}, {'priority': 'top'}, {'gpus': []},
                 {'gpus': [7]}, {'gpus': ['GPU-x']}, {'gpus': 0}, {'on_loss': 'x'}, {'queue_seconds': -1},
                 {'queue_seconds': 1e9}, {'suspended': True}, b'{"name":"\xff"}', '{"name":"a\\u0000b"}',
                 '[' * 30000, '{"a":' * 3000, '1e999', '{"memory":1e999}',
                 '{"memory":99999999999999999999}'):
        answer = post(body)
        shown = body if len(body) < 50 else f'{body[:20]}...'
        ok(f'{shown!r} is refused', answer.status == 400 and answer.is_problem, answer.status)
    same('a body of 64 KiB is read', post('{}' + ' ' * 65534).status, 201)
    same('a larger one is 413', post('{}' + ' ' * 65535).status, 413)
    same('other content is 415', post('{}', fields=['Content-Type: text/plain']).status, 415)
    same('a charset is fine', post('{}', fields=['Content-Type: application/json; charset=utf-8']).status, 201)
    chunked = f'POST {TENANTS} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n' \
        f'Content-Type: application/json\r\nAuthorization: Bearer {OPERATOR}\r\n\r\n'.encode()
    before = fake.say('requests')
    answer = fake.send(chunked + b'2\r\n{}\r\n0\r\n\r\n')
    same('a chunked body is 411', (answer.status, answer.is_problem), (411, True))
    large = b'8000\r\n' + b' ' * 0x8000 + b'\r\n'
    ok('an endless one is cut off', fake.send(chunked + large * 100).status in (0, 411))
    same('and nothing was done', fake.say('requests'), before)
    same('GET has no body', fake.ask('GET', '/healthz', 'x').status, 400)
    expected = fake.ask('POST', TENANTS, {}, token=OPERATOR, fields=['Expect: 100-continue'])
    same('who waits for 100 is told to go on', expected.status, 201)


def check_changes(fake):
    def patch(body, name='alpha', **more):
        return fake.ask('PATCH', f'{TENANTS}/{name}', body, token=OPERATOR, **more)

    same('limits are changed', patch({'memory': None, 'compute': '30%'}).status, 204)
    same('a tenant is suspended', patch({'suspended': True}).status, 204)
    same('nothing is no change', patch({}).status, 400)
    same('a tenant that is not there is 404', patch({'weight': 1}, 'nobody').status, 404)
    same('one with processes is not deleted', fake.ask('DELETE', f'{TENANTS}/alpha', token=OPERATOR).status, 409)
    same('unless forced', fake.ask('DELETE', f'{TENANTS}/alpha?force=true', token=OPERATOR).status, 204)
    same('force is a word', fake.ask('DELETE', f'{TENANTS}/alpha?force=yes', token=OPERATOR).status, 400)
    same('freezing is not built', fake.ask('POST', f'{TENANTS}/alpha/freeze', token=OPERATOR).status, 501)
    same('nor thawing', fake.ask('POST', f'{TENANTS}/alpha/thaw', token=OPERATOR).status, 501)
    explained = fake.ask('GET', f'{TENANTS}/alpha/explain').json()
    ok('an explanation has sentences', len(explained['gpus'][0]['sentences']) > 3)
    for level in ('warn,http=debug', 'info'):
        same(f'the log is set to {level}', fake.ask('PUT', '/api/v1/log-level', {'level': level},
                                                     token=OPERATOR).status, 204)
        same('and says so', fake.ask('GET', '/api/v1/log-level').json(), {'level': level})
    refused = fake.ask('PUT', '/api/v1/log-level', {'level': 'info,http=loud'}, token=OPERATOR)
    same('what is no level is refused', refused.status, 400)
    ok('with the reason', "'loud' is no level" in refused.json()['detail'], refused.json())
    same('and all stays as it was', fake.ask('GET', '/api/v1/log-level').json(), {'level': 'info'})


def check_standalone(fake):
    """One of a vgpu run of its own: listed as NAME@UID, and shown by that name."""
    name = 'own@1000'
    fake.say(f'join {name} 77')
    ok('a standalone tenant is listed', name in [each['name'] for each in fake.ask('GET', TENANTS).json()['tenants']])
    shown = fake.ask('GET', f'{TENANTS}/{name}')
    same('and shown', (shown.status, shown.json().get('is_standalone')), (200, True))
    for method, path, body in (('GET', '/explain', None), ('PATCH', '', {'weight': 1}), ('DELETE', '', None)):
        answer = fake.ask(method, f'{TENANTS}/{name}{path}', body, token=OPERATOR)
        same(f'{method} {path} of it is not built', (answer.status, answer.is_problem), (501, True))
    fake.say('leave')
    same('one that has gone is 404', fake.ask('GET', f'{TENANTS}/{name}').status, 404)


def check_explain(fake):
    """However many ask, one question is on its way to a tenant's supervisor."""
    before = int(fake.say('requests'))
    fake.say('hold')
    asking = [fake.connect() for _ in range(40)]
    for i, connection in enumerate(asking):
        name = 'alpha' if i % 2 else 'beta'
        connection.sendall(f'GET {TENANTS}/{name}/explain HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode())
    # The listener's one thread has seen those before what came last by the time that this waits.
    late = fake.ask('PATCH', f'{TENANTS}/alpha', {'weight': 1}, token=OPERATOR)
    same('a held change is answered in time', late.status, 504)
    same('forty questions about two tenants are two', int(fake.say('requests')) - before, 3)
    fake.say('release')
    late = {read_answer(connection).status for connection in asking}
    ok('those that waited are told that it is late, or the answer', late <= {200, 504}, late)
    for connection in asking:
        connection.close()
    fake.say('hold')
    asking = [fake.connect() for _ in range(10)]
    for connection in asking:
        connection.sendall(f'GET {TENANTS}/alpha/explain HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode())
    while int(fake.say('requests')) - before < 4:
        pass
    fake.say('release')
    answers = [read_answer(connection) for connection in asking]
    same('who waits for one is answered', {answer.status for answer in answers}, {200})
    same('with the explanation', {len(answer.json()['gpus']) for answer in answers}, {1})
    for connection in asking:
        connection.close()
    before = int(fake.say('requests'))
    fake.say('hold')
    with fake.connect() as connection:
        connection.sendall(f'GET {TENANTS}/alpha/explain HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode())
        while int(fake.say('requests')) == before:
            pass
        fake.say('lose')
        answer = read_answer(connection)
    same('a supervisor that ends is 503, to be asked again', (answer.status, answer.fields.get('retry-after')),
         (503, '1'))


def check_callers(fake):
    def change(**more):
        return fake.ask('PATCH', f'{TENANTS}/alpha', {'weight': 1}, **more).status

    same('nobody in particular may read', fake.ask('GET', TENANTS).status, 200)
    same('and change nothing', change(), 401)
    same('a token has to be known', change(token='x' * 24), 401)
    same('also to read', fake.ask('GET', TENANTS, token='x' * 24).status, 401)
    same('one that has expired is none', change(token=EXPIRED), 401)
    same('a reader may read', fake.ask('GET', TENANTS, token=READER).status, 200)
    same('and not change', change(token=READER), 403)
    same('nor may a pod', change(token=POD), 403)
    before, level = fake.say('requests'), fake.ask('GET', '/api/v1/log-level').json()
    for method, path, body in (('PATCH', f'{TENANTS}/alpha', {'weight': 2}), ('POST', TENANTS, {'name': 'sneaked'}),
                               ('DELETE', f'{TENANTS}/alpha?force=true', None), ('POST', f'{TENANTS}/alpha/freeze', None),
                               ('PUT', '/api/v1/log-level', {'level': 'debug'}),
                               ('POST', '/api/v1/limiter/command/worker_4711', {'id': 1, 'kind': 'Suspend'})):
        for token, status in ((None, 401), ('x' * 24, 401), (EXPIRED, 401), (READER, 403), (POD, 403)):
            same(f'{method} {path} with the token {token} is {status}',
                 fake.ask(method, path, body, token=token).status, status)
    same('and none of it reached the loop', fake.say('requests'), before)
    same('nor the log', fake.ask('GET', '/api/v1/log-level').json(), level)
    same('an operator may', change(token=OPERATOR), 204)
    same('which reaches it', int(fake.say('requests')), int(before) + 1)
    same('we ourselves may, over the unix socket', change(is_unix=True), 204)
    may = [fake.ask('GET', '/api/v1/node', token=token).json()['may_change'] for token in (None, READER, OPERATOR)]
    same('the node says who may change', may, [False, False, True])
    same('the unix socket is open to readers', stat.S_IMODE(os.stat(fake.path).st_mode), 0o666)
    for host in ('evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1', '[::2]',
                 'localhost:x', '', 'a b', '127.0.0.1:0', 'localhost@evil.example', '[::1'):
        same(f'Host {host!r} is not us', fake.ask('GET', '/healthz', fields=[f'Host: {host}']).status, 421)
    for host in ('localhost', 'LOCALHOST:1', '127.0.0.1', '127.9.9.9', '[::1]:80'):
        same(f'Host {host!r} is us', fake.ask('GET', '/healthz', fields=[f'Host: {host}']).status, 200)
    same('absolute targets are known', fake.ask('GET', 'http://localhost/healthz').status, 200)
    same('those of others are not', fake.ask('GET', 'http://evil.example/healthz').status, 421)
    here = f'http://127.0.0.1:{fake.port}'
    for fields, status in (([f'Origin: {here}'], 204), ([f'Origin: {here}', 'Sec-Fetch-Site: same-origin'], 204),
                           (['Origin: http://evil.example'], 403), (['Origin: null'], 403),
                           (['Sec-Fetch-Site: cross-site'], 403), (['Sec-Fetch-Site: same-site'], 403),
                           ([f'Origin: https://127.0.0.1:{fake.port}'], 204), (['Origin: https://127.0.0.1'], 403)):
        same(f'a page with {fields} gets {status}', change(token=OPERATOR, fields=fields), status)


def check_users(fake):
    """The kernel says who is at the unix socket; the fake policy lets operators alone change something."""
    os.chmod(fake.folder, 0o755)
    change = {'weight': 1}
    for sentence, wanted, request in (
            ('another user may read', 200, ('GET', TENANTS)),
            ('what another user asks for is judged by the policy', 403, ('PATCH', f'{TENANTS}/alpha', change)),
            ('nor is the log another user\'s', 403, ('PUT', '/api/v1/log-level', {'level': 'warn'}))):
        # A status does not fit into an exit status; what is left of it does.
        left = as_nobody(lambda asked=request: fake.ask(*asked, is_unix=True).status - 200)
        same(sentence, left + 200, wanted)

    def hoard():
        held = [fake.connect(is_unix=True) for _ in range(200)]
        for connection in held:
            try:
                connection.sendall(b'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
            except OSError:
                pass
        return sum(answered(connection) for connection in held)

    same('one user has so many connections and no more', as_nobody(hoard), 128)

    status, took = crowd(fake)
    ok('some users together leave places for operators', status == 200 and took < 1.5, (status, took))


def crowd(fake):
    """The status that root gets while four users hold all the connections that they can, and after how long.

    Those are closed after the idle time, two seconds.
    """
    ready, is_ready = os.pipe()
    is_over, over = os.pipe()
    children = []
    for uid in range(65530, 65534):
        child = os.fork()
        if child == 0:
            os.close(over)
            os.setuid(uid)
            held = [fake.connect(is_unix=True) for _ in range(128)]
            os.write(is_ready, b'x')
            os.read(is_over, 1)
            os._exit(len(held) != 128)
        children.append(child)
    for _ in children:
        os.read(ready, 1)
    begin = time.monotonic()
    status = fake.ask('GET', '/healthz', is_unix=True).status
    took = time.monotonic() - begin
    os.close(over)
    for child in children:
        os.waitpid(child, 0)
    for end in (ready, is_ready, is_over):
        os.close(end)
    return status, took


def answered(connection):
    try:
        return b'200 OK' in connection.recv(4096)
    except OSError:
        return False


def check_health(fake):
    fake.say('fault the sampler has lost its device')
    answer = fake.ask('GET', '/healthz')
    same('a fault is 503', answer.status, 503)
    same('and named', answer.json()['faults'],
         [{'component': 'sampler', 'text': ' the sampler has lost its device'}])
    same('the node is ready all the same', fake.ask('GET', '/readyz').status, 200)
    fake.say('fault')
    same('then it is well again', fake.ask('GET', '/healthz').status, 200)


def check_addresses(fake):
    with socket.create_connection(('::1', fake.ports[2])) as connection:
        connection.sendall(f'GET /healthz HTTP/1.1\r\nHost: [::1]:{fake.ports[2]}\r\n\r\n'.encode())
        ok('IPv6 is spoken', b'200 OK' in connection.recv(65536))


def check_names(fake):
    for i, address in ((2, '127.0.0.1'), (3, '127.0.0.2')):
        with socket.create_connection((address, fake.ports[i])) as connection:
            connection.sendall(f'GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n'.encode())
            ok(f'{address} is spoken to where its name is listened on', b'200 OK' in connection.recv(65536))


with Fake() as server:
    check_methods(server)
    check_bodies(server)
    check_changes(server)
    check_standalone(server)
    check_explain(server)
    check_callers(server)
    check_health(server)
    if os.geteuid() == 0:
        check_users(server)
with Fake('localhost:0', ':0') as server:
    check_names(server)
if os.path.exists('/proc/net/if_inet6') and open('/proc/net/if_inet6').read():
    with Fake('[::1]:0') as server:
        check_addresses(server)
done()
