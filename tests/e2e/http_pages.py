"""The web view's files and /metrics, as the HTTP server answers with them."""
import os
import shutil
import subprocess

from http_fake import OPERATOR, PROGRAM, READER, ROOT, Fake, done, ok, same

FILES = os.path.join(ROOT, 'src', 'hypervisor', 'web')
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " \
         "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
OPEN_METRICS = 'application/openmetrics-text;version=1.0.0'


def check_files(fake):
    tags = set()
    for name in sorted(os.listdir(FILES)):
        path = '/' if name == 'index.html' else '/' + name
        answer = fake.ask('GET', path)
        with open(os.path.join(FILES, name), 'rb') as file:
            same(f'{path} is the file', (answer.status, answer.body == file.read()), (200, True))
        same(f'{path} has the policy of a page', answer.fields.get('content-security-policy'), POLICY)
        same(f'{path} is not guessed at, asked for anew, and tells no other site', [
            answer.fields.get(each) for each in ('x-content-type-options', 'cache-control', 'referrer-policy')],
             ['nosniff', 'no-cache', 'no-referrer'])
        tag = answer.fields.get('etag', '')
        tags.add(tag)
        again = fake.ask('GET', path, fields=[f'If-None-Match: {tag}'])
        same(f'{path} is not sent to who has it', (again.status, again.body), (304, b''))
        same(f'{path} is kept then', [again.fields.get('etag'), again.fields.get('cache-control')],
             [tag, 'no-cache'])
    same('each has a tag of its own', len(tags), len(os.listdir(FILES)))
    same('another tag gets the file', fake.ask('GET', '/', fields=['If-None-Match: "x"']).status, 200)
    for name, kind in (('', 'text/html'), ('app.js', 'text/javascript'), ('style.css', 'text/css'),
                       ('favicon.svg', 'image/svg+xml')):
        same(f'/{name} is {kind}', fake.ask('GET', f'/{name}').fields['content-type'], f'{kind}; charset=utf-8')
    head = fake.ask('HEAD', '/app.js')
    ok('HEAD tells the length', head.status == 200 and not head.body and int(head.fields['content-length']) > 100)
    same('pages are only read', fake.ask('POST', '/').status, 405)
    same('a wrong token does no harm to who wants the page', fake.ask('GET', '/', token='x' * 30).status, 200)
    same('what is no file is 404', fake.ask('GET', '/index.html').status, 404)


def check_with_promtool(text):
    if not shutil.which('promtool'):
        ok('promtool has nothing to say against it # SKIP there is no promtool', True)
        return
    said = subprocess.run(['promtool', 'check', 'metrics'], input=text, capture_output=True, check=False)
    same('promtool has nothing to say against it', (said.returncode, said.stdout + said.stderr), (0, b''))


def check_metrics(fake):
    text = fake.ask('GET', '/metrics')
    same('metrics are text', (text.status, text.fields['content-type'].split(';')[0], text.fields['cache-control']),
         (200, 'text/plain', 'no-store'))
    check_with_promtool(text.body)
    lines = text.body.decode().splitlines()
    ok('GPUs and tenants are among them', any(line.startswith('vgpu_gpu_busy_ratio{') for line in lines) and
       any('tenant="alpha"' in line for line in lines))
    ok('what the daemon knows of itself, too', 'vgpu_samples_total{node="fake"} 7' in lines)
    ok('and not what it does not know', not any(line.startswith('vgpu_loop_lag_seconds{') for line in lines))
    other = fake.ask('GET', '/metrics', fields=[f'Accept: {OPEN_METRICS}'])
    same('who asks for OpenMetrics gets it', (other.fields['content-type'].split(';')[0], other.body[-6:]),
         ('application/openmetrics-text', b'# EOF\n'))
    for sentence, wanted, arguments in (
            ('near readers need no token', 200, {}), ('over the socket', 200, {'is_unix': True}),
            ('a reader reads', 200, {'token': READER}), ('an operator reads', 200, {'token': OPERATOR}),
            ('a wrong token does not', 401, {'token': 'x' * 30})):
        same(f'metrics: {sentence}', fake.ask('GET', '/metrics', **arguments).status, wanted)


def check_counts(fake):
    names = [f'vgpu_http_requests{each}_total' for each in ('', '_refused', '_failed')]
    before = [fake.metric(each) for each in names]
    for path in ('/', '/nothing', '/api/v1/events?follow=false', '/api/v1/events?after=x'):
        fake.ask('GET', path)
    fake.ask('POST', '/api/v1/tenants/alpha/freeze', token=OPERATOR)
    after = [fake.metric(each) for each in names]
    # Five of ours, and three that asked for metrics between an answer that was counted and the same again.
    same('requests are counted by how they ended', [after[i] - before[i] for i in range(3)], [8, 2, 1])


with Fake() as server:
    check_files(server)
    check_metrics(server)
    check_counts(server)
listed = subprocess.run([PROGRAM, '--routes'], capture_output=True, text=True, check=True).stdout
ok('the pages are among the routes', 'GET /app.js\n' in listed and 'GET /metrics\n' in listed)
done()
