"""The old system's routes as its limiters meet them: who is refused and that nothing is done then, the shapes of
answers, commands over a stream and their results, full queues, clients that vanish."""
import json
import os
import re
import signal
import subprocess
import threading
import time

from http_fake import (EXPIRED, EXPIRED_POD, Fake, OPERATOR, OTHER_POD, POD, READER, done, measured, ok, ok_memory,
                       read_answer, same)
from openapi import DOCUMENT, check_answer, faults

GIB = 1 << 30
GPU = 'GPU-00000000-0000-0000-0000-000000000000'
OPEN_MAX = 100
TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z')
TRAP = {'trap_id': 'trap_client_17_a', 'process_id': 17, 'frame': {'OutOfMemory': {'requested_bytes': GIB}},
        'timeout_seconds': 30}
NOBODY = '0b1c2d3e-0000-4000-8000-000000000001'


class Stream:
    """Takes the events of a client apart."""

    def __init__(self, fake, pid, token=POD):
        self.connection = fake.connect()
        self.connection.sendall(f'GET /api/v1/limiter/events/worker_{pid} HTTP/1.1\r\nHost: localhost\r\n'
                                f'Authorization: Bearer {token}\r\n\r\n'.encode())
        self.raw = b''
        self.text = ''
        self.fields = None
        self.is_over = False

    def pump(self):
        piece = self.connection.recv(65536)
        self.is_over = self.is_over or not piece
        self.raw += piece
        if self.fields is None and b'\r\n\r\n' in self.raw:
            head, _, self.raw = self.raw.partition(b'\r\n\r\n')
            self.fields = head.decode().lower()
        while self.fields is not None:
            size, ended, rest = self.raw.partition(b'\r\n')
            if not ended or len(rest) < int(size, 16) + 2:
                return
            self.is_over = self.is_over or int(size, 16) == 0
            self.text += rest[:int(size, 16)].decode()
            self.raw = rest[int(size, 16) + 2:]

    def wait(self, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition() and not self.is_over and time.monotonic() < end:
            self.pump()
        return condition()

    def tasks(self):
        return [json.loads(block[len('data: '):]) for block in self.text.split('\n\n') if block.startswith('data: ')]

    def begin(self):
        return self.wait(lambda: ': listening\n\n' in self.text)

    def take(self, count):
        """So many tasks, since the last call."""
        self.wait(lambda: len(self.tasks()) >= count)
        tasks = self.tasks()
        self.text = ''
        return tasks

    def close(self):
        self.connection.close()


def check_described(what, path, method, answer):
    check_answer(what, DOCUMENT['paths'][path][method], answer)


def ask(fake, path, body=None, token=POD, method='POST'):
    answer = fake.ask(method, path, body, token=token)
    described = re.sub(r'worker_\w*$', '{client_id}', path.partition('?')[0])
    check_described(f'{method} {path}', described, method.lower(), answer)
    return answer


def result_of(task, pid, success=True):
    return {'task_id': task['id'], 'client_id': f'worker_{pid}', 'success': success,
            'result': {'id': task['data']['id'], 'success': success, 'message': None},
            'error': None, 'timestamp': '2027-01-01T00:00:00.123456789Z'}


def command(fake, pid, kind, number=7, token=OPERATOR):
    return ask(fake, f'/api/v1/limiter/command/worker_{pid}', {'id': number, 'kind': kind}, token)


def check_refusals(fake, pid):
    """Every route; each caller that has no business there; and what is there is as before."""
    stream = Stream(fake, pid)
    stream.begin()
    command(fake, pid, 'HealthCheck')
    task = stream.take(1)[0]
    requests = fake.say('requests')
    query = f'?container_name=main&container_pid={pid}'
    order = f'/api/v1/limiter/command/worker_{pid}'
    routes = (
        ('GET', '/api/v1/pod', None),
        ('POST', f'/api/v1/process{query}', None),
        ('POST', '/api/v1/trap', TRAP),
        ('GET', f'/api/v1/limiter/events/worker_{pid}', None),
        ('POST', '/api/v1/limiter/result', result_of(task, pid)),
        ('POST', order, {'id': 9, 'kind': 'Suspend'}),
        ('POST', order, {'id': 9, 'kind': 'HealthCheck'}),
    )
    jwt = 'eyJhbGciOiJub25lIn0.' + 'eyJrdWJlcm5ldGVzLmlvIjp7Im5hbWVzcGFjZSI6ImRlZmF1bHQifX0' + '.c2ln'
    nobodies = (('no token', None), ('a wrong token', 'x' * 30), ('an expired token', EXPIRED_POD),
                ('an expired operator\'s token', EXPIRED), ('a cluster\'s token', jwt),
                ('a token that is nearly right', POD[:-1]))
    for method, path, body in routes:
        for is_unix in (False, True):
            for name, token in nobodies:
                answer = fake.ask(method, path, body, is_unix=is_unix, token=token)
                ok(f'{method} {path} {body} with {name} is 401 (unix: {is_unix})',
                   answer.status == 401 and answer.is_problem and 'www-authenticate' in answer.fields, answer.status)
        others = [('a reader\'s', READER)]
        if path != order:
            others.append(('an operator\'s', OPERATOR))
        if '/limiter/' in path:
            others.append(('another pod\'s', OTHER_POD))
        if body == {'id': 9, 'kind': 'Suspend'}:
            others.append(('the pod\'s', POD))
        for name, token in others:
            answer = fake.ask(method, path, body, token=token)
            ok(f'{method} {path} {body} with {name} token is 403', answer.status == 403 and answer.is_problem,
               answer.status)
        basic = fake.ask(method, path, body, fields=[f'Authorization: Basic {POD}'])
        same(f'{method} {path} with another scheme is 401', basic.status, 401)
    same('no refused call came to the loop', fake.say('requests'), requests)
    same('the task is still unanswered', ask(fake, '/api/v1/limiter/result', result_of(task, pid)).status, 200)
    command(fake, pid, 'HealthCheck', 10)
    tasks = stream.take(1)
    same('and the listener has heard of none of them, nor lost its stream',
         [each['data']['id'] for each in tasks], [10])
    ask(fake, '/api/v1/limiter/result', result_of(tasks[0], pid))
    stream.close()


def check_others_see_nothing(fake, pid):
    """With its own token another pod asks for itself, and is told nothing of this one."""
    answer = ask(fake, '/api/v1/pod', token=OTHER_POD, method='GET').json()
    same('another pod\'s token is about the other pod', answer['data']['pod_name'], 'worker-2')
    answer = ask(fake, f'/api/v1/process?container_name=main&container_pid={pid}', token=OTHER_POD).json()
    same('and finds none of this one\'s processes', (answer['success'], answer['data']), (False, None))
    fake.say('leave 4712')
    for path, method in (('/api/v1/pod', 'GET'), (f'/api/v1/process?container_name=main&container_pid={pid}', 'POST')):
        answer = ask(fake, path, token=OTHER_POD, method=method)
        same(f'{path} of a pod without a tenant is no failure of HTTP', (answer.status, answer.json()),
             (200, {'success': False, 'data': None, 'message': 'the pod has no tenant on this node'}))
    fatal = ask(fake, '/api/v1/trap', TRAP, token=OTHER_POD).json()['action']
    same('a trap of such a pod is fatal', fatal, {'Fatal': 'the pod has no tenant on this node'})


def check_shapes(fake, pid):
    answer = ask(fake, '/api/v1/pod?container_name=main&container_pid=17', method='GET')
    same('a pod is told of itself, field by field', answer.json(), {
        'success': True, 'message': 'ok',
        'data': {'pod_name': 'worker-1', 'namespace': 'default', 'gpu_uuids': [GPU], 'tflops_limit': None,
                 'vram_limit': 8 * GIB, 'qos_level': 'High', 'compute_shard': False, 'isolation': 'soft'}})
    same('as JSON', answer.fields['content-type'], 'application/json')
    answer = ask(fake, f'/api/v1/process?container_name=main&container_pid={pid}')
    same('a process is told of itself, field by field', answer.json(), {
        'success': True, 'message': 'ok',
        'data': {'host_pid': pid, 'container_pid': pid, 'container_name': 'main', 'pod_name': 'worker-1',
                 'namespace': 'default'}})
    trap = ask(fake, '/api/v1/trap', TRAP).json()
    ok('a trap has a time of day', TIME.fullmatch(trap.pop('timestamp')), trap)
    same('a trap that would fit by now is to be tried again', trap, {'trap_id': TRAP['trap_id'], 'action': 'Resume'})
    large = {**TRAP, 'frame': {'OutOfMemory': {'requested_bytes': 5 * GIB}}}
    same('one that would not is fatal', list(ask(fake, '/api/v1/trap', large).json()['action']), ['Fatal'])
    for method, path, body in (
            ('GET', '/api/v1/pod?container_name=../x', None), ('POST', '/api/v1/process', None),
            ('POST', '/api/v1/process?container_name=main&container_pid=0', None),
            ('POST', '/api/v1/process?container_name=main&container_pid=x', None),
            ('GET', '/api/v1/pod?pod_name=worker-2', None), ('POST', '/api/v1/trap', {}),
            ('POST', '/api/v1/limiter/result', []), ('GET', '/api/v1/limiter/events/worker_01', None),
            ('POST', f'/api/v1/limiter/command/worker_{pid}', '{"id": 1, "id": 2, "kind": "Suspend"}')):
        same(f'{method} {path} {body} is a bad request', ask(fake, path, body, method=method).status, 400)
    same('a body that is no JSON by its type is 415',
         fake.ask('POST', '/api/v1/trap', TRAP, token=POD, fields=['Content-Type: text/plain']).status, 415)
    same('another site\'s page is refused', fake.ask('POST', '/api/v1/trap', TRAP, token=POD,
                                                     fields=['Origin: http://example.com']).status, 403)


def check_flow(fake, pid):
    """Command, event, result."""
    stream = Stream(fake, pid)
    ok('a stream says at once that it listens', stream.begin())
    ok('as an event stream', 'content-type: text/event-stream' in stream.fields, stream.fields)
    answer = command(fake, pid, 'Suspend')
    same('an operator\'s command is done, and answered', (answer.status, answer.json()),
         (200, {'id': 7, 'success': True, 'message': 'suspended'}))
    tasks = stream.take(1)
    wrong = faults(tasks[0], {'$ref': '#/components/schemas/LegacyTask'}, 'task')
    ok('who listens is told, as is described', not wrong, wrong)
    task = dict(tasks[0])
    ok('with times of day', TIME.fullmatch(task.pop('created_at')) and TIME.fullmatch(task.pop('updated_at')), task)
    ok('and a number of its own', re.fullmatch(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', task.pop('id')))
    same('field by field', task,
         {'data': {'id': 7, 'kind': 'Suspend'}, 'state': 'Processing', 'client_id': f'worker_{pid}'})
    answer = ask(fake, '/api/v1/limiter/result', result_of(tasks[0], pid))
    same('its result is taken, without a body', (answer.status, answer.body), (200, b''))
    same('once', ask(fake, '/api/v1/limiter/result', result_of(tasks[0], pid)).status, 500)
    same('a result of no task is 500', ask(fake, '/api/v1/limiter/result',
                                           result_of({'id': NOBODY, 'data': {'id': 1}}, pid)).status, 500)
    same('Resume is done as well', command(fake, pid, 'Resume').json()['message'], 'resumed')
    task = stream.take(1)[0]
    same('and told', task['data']['kind'], 'Resume')
    same('a failure is a result', ask(fake, '/api/v1/limiter/result', result_of(task, pid, False)).status, 200)
    answer = command(fake, pid, 'HealthCheck', 8, POD)
    same('a pod may ask for its own health', (answer.status, answer.json()),
         (200, {'id': 8, 'success': True, 'message': 'running'}))
    same('which its listener is told of', stream.take(1)[0]['data'], {'id': 8, 'kind': 'HealthCheck'})
    same('memory cannot be reclaimed', command(fake, pid, 'VramReclaim').status, 501)
    same('nor is there a command for a process that is nobody\'s', command(fake, 1, 'Suspend').status, 404)
    return stream


def check_slow_loop(fake, pid, stream):
    """The loop answers late or not: others are served, and nobody is told of what was not done."""
    fake.say('hold')
    begin = time.monotonic()
    late = command(fake, pid, 'Suspend', 21)
    same('a command that the loop does not answer is 504', late.status, 504)
    measured(f'a command of a loop that hangs took {time.monotonic() - begin:.1f} s')
    fake.say('release')
    command(fake, pid, 'HealthCheck', 22)
    same('nobody is told of it', [each['data']['id'] for each in stream.take(1)], [22])
    fake.say('hold')
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(command(fake, pid, 'Resume', 23)))
    before = int(fake.say('requests'))
    waiting.start()
    while int(fake.say('requests')) == before:
        pass
    fake.say('release')
    waiting.join()
    same('one that it answers in time is done', answers[0].json(), {'id': 23, 'success': True, 'message': 'resumed'})
    same('and told', stream.take(1)[0]['data']['id'], 23)


def check_again(fake, pid, stream):
    """What was not answered comes again, on the newest stream alone."""
    again = Stream(fake, pid)
    again.begin()
    ok('a stream ends where there is a newer one', stream.wait(lambda: stream.is_over))
    same('which has what was not answered', [each['data']['id'] for each in again.take(3)], [8, 22, 23])
    same('a command reaches the newest', command(fake, pid, 'HealthCheck', 30).status, 200)
    tasks = again.take(1)
    same('once', [each['data']['id'] for each in tasks], [30])
    again.close()
    stream.close()
    last = Stream(fake, pid)
    last.begin()
    for task in last.take(4):
        same('it is answered', ask(fake, '/api/v1/limiter/result', result_of(task, pid)).status, 200)
    return last


def check_bounds(fake, pid, stream):
    before = fake.memory_kib()
    for i in range(OPEN_MAX + 20):
        fake.ask('POST', f'/api/v1/limiter/command/worker_{pid}', {'id': i, 'kind': 'HealthCheck'}, token=POD)
    tasks = stream.take(OPEN_MAX)
    same('so many commands wait for answers, and no more', [each['data']['id'] for each in tasks],
         list(range(OPEN_MAX)))
    same('who asks is answered nonetheless', command(fake, pid, 'HealthCheck').status, 200)
    for task in tasks:
        fake.ask('POST', '/api/v1/limiter/result', result_of(task, pid), token=POD)
    command(fake, pid, 'HealthCheck', 500)
    same('there is room once they are answered', [each['data']['id'] for each in stream.take(1)], [500])
    for _ in range(200):
        fake.ask('POST', '/api/v1/limiter/command/worker_4711', {'id': 1, 'kind': 'HealthCheck'}, token=OPERATOR)
    measured(f'full queues cost {fake.memory_kib() - before} KiB')
    ok_memory('nothing piles up for who does not listen', fake.memory_kib() - before, 1024)


def check_vanish(fake, pid, stream):
    """A process that ends, and one that hangs up."""
    with subprocess.Popen(['sleep', '600']) as child:
        fake.say(f'join default.worker-1 {child.pid}')
        own = Stream(fake, child.pid)
        ok('each process has its own stream', own.begin())
        command(fake, child.pid, 'HealthCheck', 41)
        same('with its own commands', [each['data']['id'] for each in own.take(1)], [41])
        fake.say(f'leave {child.pid}')
        ok('a stream ends with its process', own.wait(lambda: own.is_over, 5))
        same('whose commands are nobody\'s then', command(fake, child.pid, 'HealthCheck').status, 404)
        same('nor may it listen any more', ask(fake, f'/api/v1/limiter/events/worker_{child.pid}',
                                               method='GET').status, 403)
        own.close()
        child.kill()
    stream.close()
    begin = time.monotonic()
    for i in range(3):
        command(fake, pid, 'HealthCheck', 50 + i)
    after = Stream(fake, pid)
    after.begin()
    numbers = [each['data']['id'] for each in after.take(4)]
    ok('what came for a client that hung up is there when it comes again', numbers[-3:] == [50, 51, 52], numbers)
    measured(f'it came again after {(time.monotonic() - begin) * 1000:.0f} ms')
    after.close()


def check_search(fake):
    """Processes are looked for on a thread of its own: nobody else waits for it."""
    unshare = subprocess.Popen(['unshare', '-Urpf', '--kill-child', 'sleep', '600'], stderr=subprocess.DEVNULL)
    path = f'/proc/{unshare.pid}/task/{unshare.pid}/children'
    inner = ''
    while not inner and unshare.poll() is None:
        with open(path) as file:
            inner = file.read().strip()
    if not inner:
        ok('a container\'s process is found by its namespace # SKIP none can be made here', True)
        return
    fake.say(f'join default.worker-1 {inner}')
    answer = ask(fake, '/api/v1/process?container_name=main&container_pid=1').json()
    same('a container\'s process is found by its namespace', answer['data'] and answer['data']['host_pid'], int(inner))
    times, is_over = [], threading.Event()

    def search():
        while not is_over.is_set():
            fake.ask('POST', '/api/v1/process?container_name=main&container_pid=77', token=POD)

    begin = time.monotonic()
    same('one that is not there is no failure of HTTP',
         ask(fake, '/api/v1/process?container_name=main&container_pid=77').json()['data'], None)
    count = sum(name.isdigit() for name in os.listdir('/proc'))
    measured(f'a look at all of {count} processes took {(time.monotonic() - begin) * 1000:.1f} ms')
    searchers = [threading.Thread(target=search) for _ in range(4)]
    for each in searchers:
        each.start()
    for _ in range(200):
        begin = time.monotonic()
        fake.ask('GET', '/healthz')
        times.append(time.monotonic() - begin)
    is_over.set()
    for each in searchers:
        each.join()
    times.sort()
    measured(f'/healthz beside four that search without end: {times[100] * 1000:.1f} ms, at most '
             f'{times[-1] * 1000:.1f} ms')
    check_crowd(fake)
    fake.say(f'leave {inner}')
    unshare.kill()
    unshare.wait()


def check_crowd(fake):
    """More searches at once than may wait: the first are answered, the last are told to come again."""
    raw = ('POST /api/v1/process?container_name=main&container_pid=77 HTTP/1.1\r\nHost: localhost\r\n'
           f'Authorization: Bearer {POD}\r\nConnection: close\r\n\r\n').encode()
    # A search takes long beside the reading of a request, as there are many processes to look at.
    many = subprocess.Popen(['sh', '-c', 'for i in $(seq "$0"); do sleep 600 & done; echo there; wait', '400'],
                            stdout=subprocess.PIPE, start_new_session=True)
    many.stdout.readline()
    connections = [fake.connect() for _ in range(200)]
    # And the server finds them all at once, however long the sending takes: meanwhile it stands still.
    fake.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, fake.process.pid, os.WSTOPPED)
    for each in connections:
        each.sendall(raw)
    fake.process.send_signal(signal.SIGCONT)
    other = ask(fake, '/api/v1/process?container_name=main&container_pid=1', token=OTHER_POD)
    same('a pod that asks without end keeps no other one out', other.status, 200)
    answers = [read_answer(each) for each in connections]
    for each in connections:
        each.close()
    os.killpg(many.pid, signal.SIGKILL)
    many.communicate()
    counts = {status: sum(each.status == status for each in answers) for status in (200, 503)}
    measured(f'200 searches at once: {counts}')
    same('each of a crowd is answered', sum(counts.values()), 200)
    ok('as many as may wait are served', counts[200] >= 32, counts)
    # Some more than wait at once, as they are read one after the other: not as many as all pods' may be.
    ok('and of one pod not as many as of all', counts[200] < 128, counts)
    ok('the others are told to come again', counts[503] and all(
        each.is_problem and each.fields['retry-after'] == '1' for each in answers if each.status == 503), counts)


with Fake() as server:
    me = os.getpid()
    server.say('join default.worker-1')
    found = server.ask('POST', f'/api/v1/process?container_name=main&container_pid={me}', is_unix=True, token=POD)
    same('who comes over the unix socket is found by that', found.json()['data'] and found.json()['data']['host_pid'],
         me)
    server.say(f'join default.worker-1 {me}')
    server.say('join default.worker-2 4712')
    check_shapes(server, me)
    check_refusals(server, me)
    check_others_see_nothing(server, me)
    listener = check_flow(server, me)
    check_slow_loop(server, me, listener)
    listener = check_again(server, me, listener)
    check_bounds(server, me, listener)
    check_vanish(server, me, listener)
    check_search(server)
with Fake() as server:
    server.say(f'join default.worker-1 {me}')
    listener = Stream(server, me)
    listener.begin()
    _, seconds = server.stop()
    ok('a server with a listener stops at once', seconds < 3, seconds)
    ok('and the listener sees the end', listener.wait(lambda: listener.is_over))
    listener.close()
done()
