"""What is checked on a real daemon, whatever tenants it has: the page says what the API says."""
import json
import urllib.error
import urllib.request


def fetch(page, path, token):
    request = urllib.request.Request(page.url.rstrip('/') + path)
    if token:
        request.add_header('Authorization', f'Bearer {token}')
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers, answer.read()


def give_token(page, token):
    page.ask('document.getElementById("token-open").focus()')
    page.key('Enter')
    page.browser.type(token)
    page.key('Enter')
    page.tap.ok('the daemon takes the token', page.wait('!document.querySelector("dialog[open]")'),
                page.call('text', '#token-error'))


def check_assets(page):
    headers, body = fetch(page, '/', None)
    page.tap.ok('the page comes with a strict policy', "default-src 'none'" in headers['Content-Security-Policy'])
    page.tap.ok('and as HTML', headers['Content-Type'].startswith('text/html') and b'</html>' in body)
    request = urllib.request.Request(page.url, headers={'If-None-Match': headers['ETag'] or ''})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    page.tap.equal('a page that the browser has is not sent again', status, 304)


def check_rows(page, tenants):
    tap = page.tap
    names = sorted({*page.call('names')})
    tap.equal('all tenants are there', names, sorted(each['name'] for each in tenants))
    for tenant in tenants:
        row = page.call('row', tenant['name'])
        tap.equal(f"{tenant['name']}: state", row['state'], tenant['state'])
        for share in tenant['gpus'][:1]:
            tap.equal(f"{tenant['name']}: weight", row['weight'], str(share['weight']))
            tap.equal(f"{tenant['name']}: priority", row['priority'], share['priority'])
            tap.equal(f"{tenant['name']}: whether there is a cap", row['cap'] == 'none',
                      share['compute_limit_percent'] is None)


def change_weight(page, name, weight):
    page.open(name)
    page.tab_to('#limit-weight')
    page.browser.type(str(weight))
    page.key('Enter')
    page.tap.ok(f'the weight is changed to {weight}', page.wait('probe.text(".limits .done") === "Applied."'),
                page.call('text', '.limits .error'))
    page.close()
    page.tap.ok('and the row says so', page.wait_row(name, 'weight', str(weight)))


def run(page, token):
    tap = page.tap
    check_assets(page)
    page.load()
    if token:
        page.wait('document.getElementById("status").textContent !== "Connecting"')
        give_token(page, token)
    tap.ok('samples come', page.wait('document.getElementById("status").textContent === "Live"', 15))
    tenants = json.loads(fetch(page, '/api/v1/tenants', token)[1])['tenants']
    gpus = json.loads(fetch(page, '/api/v1/gpus', token)[1])['gpus']
    node = json.loads(fetch(page, '/api/v1/node', token)[1])
    tap.equal('a card for each GPU', page.ask('document.querySelectorAll(".card").length'), len(gpus))
    tap.ok('the node has its name', page.wait(f'probe.text("#node") === {json.dumps(node["node"])}'))
    check_rows(page, tenants)
    page.check_tab()
    page.check_names('the page')
    page.check_contrast('body', 'the page')
    page.check_width(320, 'the page')
    page.browser.size(1280, 800)
    ours = [each for each in tenants if not each['is_standalone'] and each['gpus']]
    if tenants:
        page.open(tenants[0]['name'])
        tap.ok('a tenant is explained', page.wait('document.querySelectorAll(".explain p").length > 0'))
        page.check_contrast('#detail', 'a tenant')
        page.check_width(320, 'a tenant')
        page.browser.size(1280, 800)
        page.close()
    if node['may_change'] and ours:
        weight = ours[0]['gpus'][0]['weight']
        change_weight(page, ours[0]['name'], weight + 1)
        change_weight(page, ours[0]['name'], weight)
    page.check_quiet('all in all')
