"""What docs/openapi.yaml says of an answer, compared with the answer."""
import os

import yaml_subset
from http_fake import ROOT, ok, same

DOCUMENT = yaml_subset.load(os.path.join(ROOT, 'docs', 'openapi.yaml'))
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
    if 'oneOf' in schema:
        count = sum(not faults(value, each, place) for each in schema['oneOf'])
        return [] if count == 1 else [f'{place} is {value!r}, which is {count} of those described']
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
