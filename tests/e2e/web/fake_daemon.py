"""A pretend daemon: serves the files of the web view under the policy that the real one sets, and an API whose
tenants the test writes. Samples go out when the test says so, or by themselves each second."""
import copy
import http.server
import json
import os
import queue
import threading
import time
import urllib.parse
import zlib

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
TYPES = {'.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml'}
GIB = 1024 ** 3
TOKEN = 'an-operators-token'
READER_TOKEN = 'a-readers-token'


def gpu(index, **changes):
    return {'uuid': f'GPU-{index:08x}-5a2b-11ee-9c3f-0242ac120002', 'index': index,
            'model': 'NVIDIA H100 80GB HBM3', 'is_lost': False, 'memory_bytes': 80 * GIB,
            'memory_used_bytes': 31 * GIB, 'memory_reserved_bytes': 56 * GIB, 'compute_reserved_percent': 70,
            'busy_percent': 97, 'memory_busy_percent': 41, 'temperature_celsius': 58, 'power_watts': 512.4,
            'graphics_clock_mhz': 1980, 'sm_clock_mhz': 1980, 'memory_clock_mhz': 2619, 'video_clock_mhz': 1545,
            'pcie_receive_bytes_per_second': 1200000000, 'pcie_transmit_bytes_per_second': 340000000,
            'scheduler': 'obeys'} | changes


def share(of, **changes):
    return {'uuid': of['uuid'], 'index': of['index'], 'memory_limit_bytes': 16 * GIB,
            'memory_used_bytes': 6 * GIB, 'memory_nvml_bytes': 6 * GIB, 'compute_limit_percent': 30,
            'compute_used_percent': 29.812, 'entitled_percent': 30, 'weight': 100, 'priority': 'normal',
            'slice_us': 6000, 'duty_percent': 30.2, 'switch_calls': 1204, 'late_looks': 0, 'control_failures': 0,
            'control_us': 512.25} | changes


def tenant(name, shares, **changes):
    return {'name': name, 'uid': 1000, 'supervisor_pid': 4100, 'state': 'running', 'is_standalone': False,
            'is_kept': False, 'engine': 'rm', 'on_loss': 'open', 'rm_calls': 5210, 'rm_unparsed': 0, 'refusals': 0,
            'guard_enables': 0, 'supervisor_restarts': 0,
            'processes': [{'pid': 4242, 'comm': 'python3', 'memory_bytes': 6 * GIB}], 'gpus': shares} | changes


class FakeDaemon:
    """`tenants`, `gpus` and `node` are the test's to change; `received` is what was asked for."""

    def __init__(self, files):
        self.files = files
        self.lock = threading.RLock()
        self.gpus = [gpu(0)]
        self.tenants = []
        self.node = {'node': 'gpu-node-1', 'version': '0.1.0', 'driver': '580.159.04', 'is_ready': True,
                     'faults': [], 'foreign': [], 'may_change': True}
        self.events = []
        self.received = []
        self.refusal = None  # the problem document that changes are answered with
        self.needs_token = False
        self.is_far = False  # then a token is needed to read as well
        self.streams = []
        self.is_running = True
        self.unix_ms = int(time.time() * 1000)
        self.server = None
        self.port = 0
        self.start()

    def start(self):
        handler = type('Handler', (Handler,), {'daemon': self})
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', self.port), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.is_running = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """As if it had died: nobody listens, streams end. start() brings it back on the same port."""
        self.is_running = False
        self.server.shutdown()
        self.server.server_close()
        for stream in list(self.streams):
            stream.put(None)

    @property
    def url(self):
        return f'http://127.0.0.1:{self.port}/'

    def sample(self, step_ms=1000, at_ms=None):
        with self.lock:
            self.unix_ms = max(self.unix_ms + step_ms, at_ms or 0)
            data = {'unix_ms': self.unix_ms, 'gpus': copy.deepcopy(self.gpus),
                    'tenants': copy.deepcopy(self.tenants)}
        self.send('sample', data)

    def event(self, kind, text, name=None, unix_ms=None):
        data = {'number': len(self.events) + 1, 'unix_ms': unix_ms or int(time.time() * 1000), 'kind': kind,
                'tenant': name, 'pid': None, 'text': text}
        self.events.append(data)
        self.send(kind, data, data['number'])

    def send(self, kind, data, number=None):
        head = f'id: {number}\n' if number else ''
        text = f'{head}event: {kind}\ndata: {json.dumps(data)}\n\n'
        for stream in list(self.streams):
            stream.put(text)

    def find(self, name):
        return next((each for each in self.tenants if each['name'] == name), None)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    daemon = None

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b'', content_type='application/json', etag=None):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header('Content-Security-Policy', POLICY)
        self.send_header('X-Content-Type-Options', 'nosniff')
        self.send_header('Cache-Control', 'no-cache')
        if etag:
            self.send_header('ETag', etag)
        if status not in (204, 304):
            self.send_header('Content-Type', content_type)
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if status not in (204, 304):
            self.wfile.write(body)

    def problem(self, status, title, detail=''):
        self.answer(status, {'type': 'about:blank', 'title': title, 'status': status, 'detail': detail},
                    'application/problem+json')

    def is_operator(self):
        return not self.daemon.needs_token or self.headers.get('Authorization') == f'Bearer {TOKEN}'

    def may_read(self):
        """Who shows a token wants it to count, also where none is needed."""
        shown = self.headers.get('Authorization')
        known = (f'Bearer {TOKEN}', f'Bearer {READER_TOKEN}')
        return shown in known or shown is None and not self.daemon.is_far

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        if path.startswith('/api/') and not self.may_read():
            self.problem(401, 'Unauthorized', 'the token is not known here')
        elif path == '/api/v1/node':
            may_change = self.daemon.node['may_change'] and self.is_operator()
            self.answer(200, self.daemon.node | {'may_change': may_change})
        elif path == '/api/v1/events':
            self.stream(urllib.parse.parse_qs(url.query))
        elif path in ('/api/v1/gpus', '/api/v1/tenants'):
            name = path.rsplit('/', 1)[1]
            self.answer(200, {name: getattr(self.daemon, name)})
        elif path.startswith('/api/v1/tenants/') and path.endswith('/explain'):
            self.explain(path.split('/')[4])
        else:
            self.file('index.html' if path == '/' else path[1:])

    def file(self, name):
        path = os.path.join(self.daemon.files, name)
        if '/' in name or not os.path.isfile(path):
            return self.problem(404, 'There is no such page', self.path)
        with open(path, 'rb') as file:
            body = file.read()
        etag = f'"{zlib.crc32(body):08x}"'
        if self.headers.get('If-None-Match') == etag:
            return self.answer(304, etag=etag)
        self.answer(200, body, TYPES[os.path.splitext(name)[1]] + '; charset=utf-8', etag)

    def explain(self, name):
        self.answer(200, {'name': name, 'gpus': [{'index': 0, 'sentences': [
            f"'{name}' is capped at 30 % and received 29.8 % of the last second.",
            'Its caps and its neighbours\' leave room for all, so its entitlement is the cap.',
            'Its slices are 6 ms: no tenant of priority high is active.']}]})

    def stream(self, query):
        after = int(query['after'][0]) if 'after' in query else len(self.daemon.events)
        if after > len(self.daemon.events):  # of another daemon
            after = 0
        lines = queue.Queue()
        for event in self.daemon.events[after:]:
            lines.put(f"id: {event['number']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n")
        self.daemon.streams.append(lines)
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Cache-Control', 'no-store')
        self.send_header('Connection', 'close')
        self.end_headers()
        self.close_connection = True
        try:
            self.wfile.flush()
            while self.daemon.is_running:
                text = lines.get()
                if text is None:
                    break
                self.wfile.write(text.encode())
                self.wfile.flush()
        except OSError:
            pass  # the reader has gone
        finally:
            self.daemon.streams.remove(lines)

    def change(self, method):
        url = urllib.parse.urlsplit(self.path)
        name = urllib.parse.unquote(url.path.rsplit('/', 1)[1])
        length = int(self.headers.get('Content-Length') or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.daemon.received.append({'method': method, 'name': name, 'query': url.query, 'body': body,
                                     'type': self.headers.get('Content-Type'),
                                     'authorization': self.headers.get('Authorization')})
        found = self.daemon.find(name)
        if self.daemon.refusal:
            return self.problem(*self.daemon.refusal)
        if not self.is_operator():
            return self.problem(403, 'Not allowed', 'only an operator may do that')
        if not found:
            return self.problem(404, 'There is no such tenant', name)
        if method == 'DELETE':
            self.daemon.tenants.remove(found)
            return self.answer(204)
        if 'suspended' in body:
            found['state'] = 'suspended' if body['suspended'] else 'running'
        for each in found['gpus']:
            if 'compute' in body:
                each['compute_limit_percent'] = each['entitled_percent'] = body['compute']
            if 'memory' in body:
                each['memory_limit_bytes'] = body['memory']
            each.update({key: body[key] for key in ('weight', 'priority') if key in body})
        return self.answer(200, found)

    def do_PATCH(self):
        self.change('PATCH')

    def do_DELETE(self):
        self.change('DELETE')
