"""What a test of the web view is made of: TAP, a browser with the page in it, the page asked and handled."""
import json
import os

from devtools import SHIFT

HERE = os.path.dirname(os.path.abspath(__file__))


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, sentence, passed, *words):
        self.count += 1
        self.failed += not passed
        print(f"{'ok' if passed else 'not ok'} {self.count} - {sentence}", flush=True)
        if not passed:
            for word in words:
                print(f'#   {word}', flush=True)

    def equal(self, sentence, got, wanted):
        self.ok(sentence, got == wanted, f'got    {got!r}', f'wanted {wanted!r}')

    def done(self):
        print(f'1..{self.count}', flush=True)
        return 1 if self.failed else 0


class Page:
    """The web view in a browser."""

    def __init__(self, browser, url, tap):
        self.browser = browser
        self.url = url
        self.tap = tap
        with open(os.path.join(HERE, 'probe.js'), encoding='utf-8') as file:
            self.probe = file.read()

    def load(self):
        self.browser.go(self.url)
        self.browser.evaluate('window.probe = ' + self.probe)

    def ask(self, expression):
        return self.browser.evaluate(expression)

    def call(self, function, *arguments):
        return self.ask(f'probe.{function}({", ".join(map(json.dumps, arguments))})')

    def wait(self, expression, timeout_s=10):
        return self.browser.wait(expression, timeout_s)

    def wait_row(self, name, column, text, timeout_s=10):
        return self.wait(f'(probe.row({json.dumps(name)}) || {{}})[{json.dumps(column)}] === {json.dumps(text)}',
                         timeout_s)

    def key(self, name, times=1, modifiers=0):
        for _ in range(times):
            self.browser.key(name, modifiers)

    def focus_is(self, selector):
        return self.ask(f'document.activeElement === document.querySelector({json.dumps(selector)})')

    def tab_to(self, selector, most=60):
        """Presses Tab until that has the focus."""
        for _ in range(most):
            if self.focus_is(selector):
                return True
            self.key('Tab')
        return self.focus_is(selector)

    def go_to_row(self, name):
        """To a tenant's row with keys alone: the filter, and down."""
        self.ask('document.activeElement.blur()')
        self.key('/')
        self.key('Escape')
        self.key('ArrowDown')
        self.wait(f'probe.row({json.dumps(name)}) !== null')
        self.key('Home')
        names = self.call('names')
        self.key('ArrowDown', names.index(name))
        return self.ask('document.activeElement.textContent') == name

    def open(self, name):
        is_there = self.go_to_row(name)
        self.key('Enter')
        return self.wait('document.getElementById("detail").open') and is_there

    def close(self):
        self.key('Escape')
        return self.wait('!document.querySelector("dialog[open]")')

    # --- what holds on every daemon ---

    def check_width(self, width, where):
        tap = self.tap
        self.browser.size(width, 740)
        tap.ok(f'at {width} px {where} does not scroll sideways', self.call('overflow') <= 0, self.call('wide'))

    def check_contrast(self, root, where):
        for scheme in ('light', 'dark'):
            self.browser.scheme(scheme)
            got = self.call('contrasts', root)
            print(f"# measured: least contrast of {where}, {scheme}: {got['least']:.2f} of {got['count']} texts")
            self.tap.ok(f'every text of {where} has a contrast of 4.5 or more ({scheme})',
                        not got['bad'] and got['count'] > 0, *got['bad'][:10])

    def check_tab(self):
        """Tab from the top: everything is reached, and one sees where one is."""
        tap, seen, hidden = self.tap, set(), []
        self.ask('document.activeElement.blur(); scrollTo(0, 0)')
        count = self.call('stops')
        for _ in range(count + 3):
            self.key('Tab')
            number, is_seen, words = self.call('focused')
            if number is not None:
                seen.add(int(number))
                if not is_seen:
                    hidden.append(words)
        missed = [self.ask(f'document.querySelector("[data-probe=\'{i}\']").outerHTML.slice(0, 90)')
                  for i in range(count) if i not in seen]
        tap.ok(f'Tab reaches all {count} stops of the page', count > 5 and not missed, *missed)
        tap.ok('one sees which has the focus', not hidden, *hidden)

    def check_names(self, where):
        """Every element that takes the focus has a name for a screen reader."""
        tree = self.browser.call('Accessibility.getFullAXTree')['nodes']
        nameless, count = [], 0
        for node in tree:
            properties = {each['name']: each['value'].get('value') for each in node.get('properties', [])}
            role = node.get('role', {}).get('value')
            if node.get('ignored') or not properties.get('focusable') or role == 'RootWebArea':
                continue
            count += 1
            if not node.get('name', {}).get('value', '').strip():
                nameless.append(f"{role} {node.get('backendDOMNodeId')}")
        self.tap.ok(f'everything that takes the focus has a name, {where}', count > 3 and not nameless, *nameless)

    def check_trap(self, selector):
        """Tab and Shift+Tab stay in the dialog (or leave the page for the browser, which is `body`)."""
        inside = f'document.activeElement === document.body || document.activeElement.closest("{selector}") !== null'
        stays = True
        for modifiers in (0, SHIFT):
            for _ in range(25):
                self.key('Tab', modifiers=modifiers)
                stays = stays and self.ask(inside)
        self.tap.ok(f'Tab does not leave {selector}', stays)

    def check_quiet(self, where, allowed=()):
        """No complaint of the browser (a breach of the policy, an exception, an error on the console)."""
        self.ask('1')  # what was on its way is here now
        left = [each for each in self.browser.complaints if not any(words in each for words in allowed)]
        self.browser.complaints.clear()
        self.tap.ok(f'the browser complains of nothing, {where}', not left, *left[:10])
