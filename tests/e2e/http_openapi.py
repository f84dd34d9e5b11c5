"""The HTTP server against docs/openapi.yaml: every path and method answers as it says there, and what is
registered is described."""
import os
import re
import subprocess

import yaml_subset
from http_fake import PROGRAM, READER, ROOT, Fake, OPERATOR, done, ok, same

DOCUMENT = yaml_subset.load(os.path.join(ROOT, 'docs', 'openapi.yaml'))
# The web view's files are pages, and no part of the API.
PAGE = re.compile(r'/([^/]*\.(js|css|svg))?$')
METHODS = ('get', 'post', 'put', 'patch', 'delete')
TYPES = {'object': dict, 'array': list, 'string': str, 'boolean': bool, 'integer': int, 'number': (int, float),
         'null': type(None)}


def resolve(value):
    while isinstance(value, dict) and '$ref' in value:
        target = DOCUMENT
        for part in value['$ref'].removeprefix('#/').split('/'):
            target = target[part]
        value = {**target, **{key: each for key, each in value.items() if key != '$ref'}}
    return value


def is_of(value, name):
    return isinstance(value, TYPES[name]) and (name in ('boolean',) or not isinstance(value, bool))


def faults(value, schema, place='body'):
    """What of the value is not as the schema says."""
    schema = resolve(schema)
    wanted = schema.get('type', [])
    wanted = wanted if isinstance(wanted, list) else [wanted]
    if wanted and not any(is_of(value, name) for name in wanted):
        return [f'{place} is {value!r}, not {wanted}']
    if value is None:
        return []
    found = []
    if 'enum' in schema and value not in schema['enum']:
        found.append(f'{place} is {value!r}')
    if 'const' in schema and value != schema['const']:
        found.append(f'{place} is {value!r}')
    if 'minimum' in schema and value < schema['minimum']:
        found.append(f'{place} is {value!r}')
    if isinstance(value, list):
        for i, each in enumerate(value):
            found += faults(each, schema['items'], f'{place}[{i}]')
    if isinstance(value, dict):
        known = schema['properties']
        found += [f'{place}.{name} is missing' for name in schema.get('required', []) if name not in value]
        found += [f'{place}.{name} is not described' for name in value if name not in known]
        for name in value:
            if name in known:
                found += faults(value[name], known[name], f'{place}.{name}')
    return found


def check_answer(what, operation, answer):
    """The status is described, and so is what comes with it."""
    responses = operation['responses']
    described = str(answer.status) in responses
    ok(f'{what}: {answer.status} is described', described, sorted(responses))
    if not described:
        return
    content = resolve(responses[str(answer.status)]).get('content')
    if not content:
        same(f'{what}: {answer.status} has no body', answer.body, b'')
        return
    kind = answer.fields.get('content-type', '').split(';')[0]
    ok(f'{what}: {answer.status} is {kind}', kind in content, list(content))
    if kind not in content or '/events' in what:  # a stream is asked for by HEAD: there is no body
        return
    body = answer.json() if kind.endswith('json') else answer.body.decode()
    wrong = faults(body, content[kind]['schema'])
    ok(f'{what}: {answer.status} has the body described', not wrong, wrong[:5])


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
