"""The HTTP server against docs/openapi.yaml: every path and method answers as it says there, and what is
registered is described."""
import os
import re
import subprocess

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
done()
