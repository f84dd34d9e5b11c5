"""The HTTP server against docs/openapi.yaml: every path and method answers as it says there, and what is
registered is described."""
import json
import os
import re
import subprocess
import time

from http_fake import PROGRAM, READER, ROOT, Fake, OPERATOR, done, ok, same
from openapi import DOCUMENT, check_answer, faults, resolve

# The web view's files are pages, and no part of the API.
PAGE = re.compile(r'/([^/]*\.(js|css|svg))?$')
METHODS = ('get', 'post', 'put', 'patch', 'delete')


def check_operation(fake, path, method, operation):
    what = f'{method.upper()} {path}'
    body = None
    if 'requestBody' in operation:
        kind = operation['requestBody']['content']['application/json']
        body = kind['example']
        wrong = faults(body, kind['schema'], 'example')
        ok(f'{what}: the example is as described', not wrong, wrong)
    changes = method != 'get'
    asked = path.replace('{name}', 'alpha')
    verb = 'HEAD' if path.endswith('/events') else method.upper()
    answer = fake.ask(verb, asked, body, token=OPERATOR)
    ok(f'{what}: an operator is answered', answer.status < 300 or
       answer.status in (409, 501) and str(answer.status) in operation['responses'], answer.status)
    check_answer(what, operation, answer)
    for token in ('x' * 30, READER):
        check_answer(f'{what} with another token', operation, fake.ask(verb, asked, body, token=token))
    check_answer(f'{what} of another host', operation, fake.ask(verb, asked, body, fields=['Host: evil.example']))
    check_answer(f'{what} with a query of its own', operation, fake.ask(verb, f'{asked}?x=1', body, token=OPERATOR))
    if changes:
        check_answer(f'{what} by nobody', operation, fake.ask(verb, asked, body))
    if '{name}' in path:
        nobody = fake.ask(verb, path.replace('{name}', 'nobody'), body, token=OPERATOR)
        check_answer(f'{what} of nobody', operation, nobody)
        if '501' not in operation['responses'] or '404' in operation['responses']:
            check_answer(f'{what} of a wrong name', operation,
                         fake.ask(verb, path.replace('{name}', '.x'), body, token=OPERATOR))
    if body is not None:
        check_answer(f'{what} with nonsense', operation, fake.ask(verb, asked, '{', token=OPERATOR))
        check_answer(f'{what} with text', operation, fake.ask(verb, asked, '{}', token=OPERATOR,
                                                              fields=['Content-Type: text/plain']))
        check_answer(f'{what} with much', operation, fake.ask(verb, asked, ' ' * 70000, token=OPERATOR))
        check_answer(f'{what} in chunks', operation, fake.ask(verb, asked, token=OPERATOR, fields=[
            'Content-Type: application/json', 'Transfer-Encoding: chunked']))
    ok(f'{what}: what can go wrong at any path is described', {'400', '421', '500'} <= set(operation['responses']),
       sorted(operation['responses']))


def operations():
    for path, item in DOCUMENT['paths'].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def check_routes():
    printed = subprocess.run([PROGRAM, '--routes'], capture_output=True, text=True, check=True).stdout
    registered = {tuple(line.split()) for line in printed.splitlines() if '/' in line and not PAGE.match(line.split()[1])}
    described = {(method.upper(), path) for path, method, _ in operations()}
    same('what is registered is described', sorted(registered - described), [])
    missing = {(method, path) for method, path in described - registered if path.startswith(('/api/v1/', '/h', '/m', '/r'))}
    legacy = set(DOCUMENT.get('x-legacy-paths', []))
    same('what is described is registered', sorted(each for each in missing if each[1] not in legacy), [])
    names = [operation['operationId'] for _, _, operation in operations()]
    same('each operation has a name of its own', len(set(names)), len(names))


def check_events(fake):
    """What comes over the stream, which no answer of a whole is."""
    fake.say('event the first')
    kinds = set()
    with fake.connect() as connection:
        # HTTP/1.0 has no chunks.
        connection.sendall(b'GET /api/v1/events?after=0&samples_hz=10 HTTP/1.0\r\nHost: localhost\r\n\r\n')
        raw = b''
        while not {'sample', 'tenant-changed'} <= kinds and (piece := connection.recv(65536)):
            raw += piece
            blocks = raw.partition(b'\r\n\r\n')[2].decode().split('\n\n')[:-1]
            kinds = {line[7:] for block in blocks for line in block.split('\n') if line.startswith('event: ')}
    for block in blocks:
        fields = dict(line.split(': ', 1) for line in block.split('\n') if line and not line.startswith(':'))
        if 'data' not in fields:
            continue
        name = 'Sample' if fields['event'] == 'sample' else 'Event'
        wrong = faults(json.loads(fields['data']), {'$ref': f'#/components/schemas/{name}'})
        ok(f'an event of the name {fields["event"]} is a {name}', not wrong, wrong[:5])
    same('both came', kinds, {'sample', 'tenant-changed'})
    words = open(os.path.join(ROOT, 'src', 'hypervisor', 'event_log.c'), encoding='utf-8').read()
    same('each kind of event is described', sorted(DOCUMENT['components']['schemas']['EventKind']['enum']),
         sorted(re.findall(r'\[EVENT_\w+\] = "([a-z-]+)"', words)))


def check_stale(fake):
    fake.say('stall')
    begin = time.monotonic()
    while fake.ask('GET', '/readyz').status == 200 and time.monotonic() - begin < 10:
        time.sleep(0.1)
    for path in ('/healthz', '/readyz'):
        answer = fake.ask('GET', path)
        same(f'a loop that has stopped is 503 at {path}', answer.status, 503)
        check_answer(f'GET {path} with a loop that has stopped', DOCUMENT['paths'][path]['get'], answer)


def check_document():
    text = open(os.path.join(ROOT, 'docs', 'openapi.yaml'), encoding='utf-8').read()
    for reference in sorted(set(re.findall(r'\$ref: "([^"]+)"', text))):
        ok(f'{reference} is there', bool(resolve({'$ref': reference})))


check_document()
check_routes()
with Fake() as server:
    for each_path, each_method, each in operations():
        if each_path not in DOCUMENT.get('x-legacy-paths', []):
            check_operation(server, each_path, each_method, each)
    server.say('fault the disk is full')
    health = DOCUMENT['paths']['/healthz']['get']
    check_answer('GET /healthz with a fault', health, server.ask('GET', '/healthz'))
    check_events(server)
    check_stale(server)
done()
