"""The real daemon over HTTP: what http_fake.c cannot show, which has wires of its own. See http_daemon.sh."""
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from http_fake import Fake, IS_SANITIZED, OPERATOR, POD, READER, done, ok, same
from openapi import DOCUMENT, check_answer

FOLDER = sys.argv[1]
TENANTS = '/api/v1/tenants'
GIB = 1 << 30
TRACE = os.path.join(FOLDER, 'trace')
USAGE = os.path.join(FOLDER, 'usage')
SHARED = os.path.join(FOLDER, 'shm')


class Daemon(Fake):
    """vgpu-hypervisor, at its unix socket alone."""

    def __init__(self):
        tokens = os.path.join(FOLDER, 'tokens')
        with open(os.open(tokens, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as file:
            file.write(f'{OPERATOR} operator\n{READER} reader\n{POD} pod shop/web\n')
        self.path = os.path.join(os.environ['VGPU_RUNTIME_DIR'], 'api')
        self.port = 80
        self.log = open(os.path.join(FOLDER, 'daemon.log'), 'w')
        # What is used after it was freed has other bytes in it then.
        perturbed = {} if IS_SANITIZED else {'GLIBC_TUNABLES': 'glibc.malloc.perturb=165:glibc.malloc.tcache_count=0'}
        self.process = subprocess.Popen(
            ['vgpu-hypervisor', '--api-listen-addr', '', '--api-token-file', tokens,
             '--shared-memory-base-path', SHARED, '--gpu-metrics-file', USAGE, '--metrics-batch-size', '1'], stderr=self.log,
            env={**os.environ, **perturbed})

    def connect(self, is_unix=True):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(15)
        connection.connect(self.path)
        return connection

    def is_ready(self):
        try:
            return self.ask('GET', '/readyz').status == 200
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = f'none after 20 s, {self.process.wait()}'
        same('the daemon ends well', status, 0)
        self.log.close()
        with open(self.log.name) as file:
            for line in file:
                print(f'# {line.rstrip()}')


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def checked(daemon, method, path, body=None, described=None, **more):
    """Asks, and holds the answer against the description."""
    answer = daemon.ask(method, path, body, **more)
    described = described or re.sub(r'^/api/v1/tenants/[^/?]+', f'{TENANTS}/{{name}}', path).partition('?')[0]
    check_answer(f'{method} {path}', DOCUMENT['paths'][described][method.lower()], answer)
    return answer


def check_views(daemon):
    for path in ('/healthz', '/readyz', '/api/v1/node', '/api/v1/gpus', TENANTS, '/api/v1/log-level'):
        same(f'GET {path}', checked(daemon, 'GET', path).status, 200)
    same('the GPUs are those of the machine', len(daemon.ask('GET', '/api/v1/gpus').json()['gpus']), 2)
    ok('who owns the daemon may change something', daemon.ask('GET', '/api/v1/node').json()['may_change'])
    node = daemon.ask('GET', '/api/v1/node', token=READER).json()
    same('with a reader\'s token not', (node['may_change'], node['faults']), (False, []))
    same('a token that is not in the file is refused', checked(daemon, 'GET', '/api/v1/node', token='x' * 24).status, 401)
    same('there is the page', daemon.ask('GET', '/').status, 200)


def check_tenant(daemon):
    made = checked(daemon, 'POST', TENANTS, {'name': 'made', 'memory': '8GiB', 'compute': 20, 'gpus': [1]})
    same('a tenant is made', (made.status, made.fields.get('location')), (201, f'{TENANTS}/made'))
    ok('it is there', wait_for(lambda: daemon.ask('GET', f'{TENANTS}/made').status == 200))
    share = checked(daemon, 'GET', f'{TENANTS}/made').json()['gpus'][0]
    same('as it was asked for', (share['index'], share['memory_limit_bytes'], share['compute_limit_percent']),
         (1, 8 * GIB, 20))
    same('its name is taken', checked(daemon, 'POST', TENANTS, {'name': 'made'}).status, 409)
    same('and more than there is is not given', checked(daemon, 'POST', TENANTS, {'memory': '79GiB', 'gpus': [1]}).status, 409)
    same('it is changed', checked(daemon, 'PATCH', f'{TENANTS}/made', {'compute': 40, 'weight': 300}).status, 204)

    def is_changed():
        now = daemon.ask('GET', f'{TENANTS}/made').json()['gpus'][0]
        return (now['compute_limit_percent'], now['weight']) == (40, 300)

    ok('which is seen', wait_for(is_changed))
    answer = checked(daemon, 'GET', f'{TENANTS}/made/explain')
    ok('it is explained', answer.status == 200 and answer.json()['gpus'][0]['compute_limit_percent'] == 40, answer.body)
    same('not by who may not', checked(daemon, 'PATCH', f'{TENANTS}/made', {'compute': 1}, token=READER).status, 403)
    same('it is deleted', checked(daemon, 'DELETE', f'{TENANTS}/made').status, 204)
    ok('and gone', wait_for(lambda: daemon.ask('GET', f'{TENANTS}/made').status == 404))
    same('as it says', checked(daemon, 'PATCH', f'{TENANTS}/made', {'compute': 1}).status, 404)
    for change in ('PATCH', 'DELETE'):
        same(f'{change} of an unknown one is 404', checked(
            daemon, change, f'{TENANTS}/nobody', {'weight': 1} if change == 'PATCH' else None).status, 404)
    events = daemon.send(b'GET /api/v1/events?follow=false HTTP/1.0\r\n\r\n').body.decode()
    ok('all of it was told', all(f'event: tenant-{word}\n' in events for word in ('created', 'changed', 'ended')), events)
    ok('with numbers above those of a daemon before', int(re.search(r'id: (\d+)', events)[1]) >> 10 > 10 ** 12)


def last_windows(count):
    with open(TRACE) as file:
        return [float(line.split()[1]) for line in file.read().splitlines()[-count:] if len(line.split()) == 2]


def check_pod(daemon):
    """A tenant that is a pod by its name, and what limiters of the system that came before have of it."""
    run = subprocess.Popen(['vgpu', 'run', '--name', 'shop.web', '--gpu', '0', '--memory', '8GiB', '--compute', '40%', '--',
                            'vgpu', 'burn', '--seconds', '600', '--trace', TRACE],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ok('a pod burns', wait_for(lambda: os.path.exists(TRACE) and min(last_windows(5), default=0) > 20, 30))
        burning = daemon.ask('GET', f'{TENANTS}/shop.web').json()
        pid = burning['processes'][0]['pid']
        pod = checked(daemon, 'GET', '/api/v1/pod', token=POD)
        same('its limiter is told of it', (pod.json()['data']['pod_name'], pod.json()['data']['vram_limit']), ('web', 8 * GIB))
        for kind, is_there in (('Suspend', lambda: max(last_windows(5)) < 1), ('Resume', lambda: min(last_windows(5)) > 20)):
            answer = checked(daemon, 'POST', f'/api/v1/limiter/command/worker_{pid}', {'id': 1, 'kind': kind}, token=OPERATOR,
                             described='/api/v1/limiter/command/{client_id}')
            same(f'{kind} is done', (answer.status, answer.json()['success']), (200, True))
            ok('which the burn notices', wait_for(is_there), last_windows(10))
        check_shared(pid)
        check_metrics(daemon)
    finally:
        run.terminate()
        run.wait()
    ok('without processes it is gone', wait_for(lambda: daemon.ask('GET', f'{TENANTS}/shop.web').status == 404))


def check_shared(pid):
    def shown():
        return subprocess.run(['vgpu-hypervisor', 'show-shm', '--namespace', 'shop', '--pod-name', 'web', '--shm-base-path',
                               SHARED], capture_output=True, text=True, check=False).stdout

    ok('the shared file of the pod is healthy', wait_for(lambda: re.search(r'^health +healthy$', shown(), re.M)), shown())
    ok('and has its device', re.search(r'^devices +1$', shown(), re.M), shown())


def check_metrics(daemon):
    answer = checked(daemon, 'GET', '/metrics')
    ok('metrics have the tenant', 'tenant="shop.web"' in answer.body.decode(), answer.body[:500])
    if shutil.which('promtool'):
        said = subprocess.run(['promtool', 'check', 'metrics'], input=answer.body, capture_output=True, check=False)
        same('promtool has nothing to say against them', (said.returncode, said.stderr), (0, b''))
    else:
        ok('promtool has nothing to say against them # SKIP there is no promtool', True)

    def usage():
        text = ''
        for path in glob.glob(f'{USAGE}*'):  # the file's name may have the day behind it
            with open(path) as file:
                text += file.read()
        return text

    ok('lines of usage are written', wait_for(lambda: 'web' in usage()), usage()[:500])


with Daemon() as server:
    ok('the daemon is ready', wait_for(server.is_ready))
    same('its socket is for all users', os.stat(server.path).st_mode & 0o777, 0o666)
    check_views(server)
    check_tenant(server)
    check_pod(server)
done()
