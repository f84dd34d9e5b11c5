"""Drives a Chromium over the DevTools protocol: a WebSocket client of its own and what a test of a page needs."""
import base64
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request

PROGRAMS = ('chromium', 'chromium-browser', 'google-chrome')
OPTIONS = ('--headless=new', '--no-sandbox', '--remote-debugging-port=0', '--disable-gpu', '--no-first-run',
           '--disable-extensions', '--disable-component-update', '--disable-background-networking',
           '--disable-breakpad', '--disable-dev-shm-usage', '--mute-audio', '--hide-scrollbars',
           '--force-color-profile=srgb', 'about:blank')
KEYS = {'Tab': 9, 'Enter': 13, 'Escape': 27, 'ArrowUp': 38, 'ArrowDown': 40, 'Home': 36, 'End': 35, 'Space': 32}
SHIFT = 8


def find_program():
    return next((path for path in map(shutil.which, PROGRAMS) if path), None)


class WebSocket:
    """The client's side of RFC 6455, as far as DevTools needs it: whole text messages."""

    def __init__(self, url):
        address, path = url.removeprefix('ws://').split('/', 1)
        host, port = address.split(':')
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f'GET /{path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n'
                             f'Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n'
                             'Sec-WebSocket-Version: 13\r\n\r\n').encode())
        self.rest = b''
        while b'\r\n\r\n' not in self.rest:
            self.rest += self.socket.recv(4096)
        head, self.rest = self.rest.split(b'\r\n\r\n', 1)
        if b' 101 ' not in head.split(b'\r\n')[0]:
            raise OSError(f'no WebSocket: {head!r}')

    def send(self, text):
        data = text.encode()
        length = len(data)
        if length < 126:
            head = struct.pack('!BB', 0x81, 0x80 | length)
        elif length < 65536:
            head = struct.pack('!BBH', 0x81, 0x80 | 126, length)
        else:
            head = struct.pack('!BBQ', 0x81, 0x80 | 127, length)
        # The mask of zeros is one as good as any: what is sent is no secret.
        self.socket.sendall(head + bytes(4) + data)

    def _read(self, count):
        while len(self.rest) < count:
            got = self.socket.recv(65536)
            if not got:
                raise OSError('the browser has closed the connection')
            self.rest += got
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def receive(self, timeout_s):
        """One message, or None where none begins in time."""
        if not self.rest:
            self.socket.settimeout(timeout_s)
            try:
                self.rest = self.socket.recv(65536)
            except (TimeoutError, socket.timeout):
                return None
            finally:
                self.socket.settimeout(20)
        message = b''
        while True:
            first, second = self._read(2)
            length = second & 0x7f
            if length == 126:
                length, = struct.unpack('!H', self._read(2))
            elif length == 127:
                length, = struct.unpack('!Q', self._read(8))
            message += self._read(length)
            if first & 0x80:
                return message.decode()

    def close(self):
        self.socket.close()


class Browser:
    """A Chromium with one page. What the page complained of gathers in `complaints`."""

    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix='vgchromium')
        self.log = open(os.path.join(self.profile, 'log'), 'wb')
        self.process = subprocess.Popen([program, f'--user-data-dir={self.profile}', *OPTIONS],
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        self.number = 0
        self.complaints = []
        try:
            self.page = WebSocket(self._page_url())
            for domain in ('Page', 'Runtime', 'Log', 'Network'):
                self.call(domain + '.enable')
        except Exception:
            self.close()
            raise

    def _page_url(self):
        port_file = os.path.join(self.profile, 'DevToolsActivePort')
        deadline = time.monotonic() + 30
        while True:
            try:
                with open(port_file, encoding='ascii') as file:
                    port = int(file.readline())
                with urllib.request.urlopen(f'http://127.0.0.1:{port}/json/list', timeout=5) as answer:
                    return next(target['webSocketDebuggerUrl'] for target in json.load(answer)
                                if target['type'] == 'page')
            except (OSError, ValueError, StopIteration):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError('the browser does not start') from None
                time.sleep(0.05)

    def _take(self, message):
        """An event: those that are complaints are kept."""
        method, params = message.get('method'), message.get('params', {})
        if method == 'Runtime.exceptionThrown':
            details = params['exceptionDetails']
            self.complaints.append(details.get('exception', {}).get('description', details['text']))
        elif method == 'Log.entryAdded' and params['entry']['level'] in ('error', 'warning'):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == 'Runtime.consoleAPICalled' and params['type'] in ('error', 'warning', 'assert'):
            self.complaints.append(str([each.get('value', each.get('description')) for each in params['args']]))
        elif method == 'Page.javascriptDialogOpening':
            self.complaints.append(f"a dialog of the browser: {params['message']}")

    def call(self, method, **params):
        self.number += 1
        number = self.number
        self.page.send(json.dumps({'id': number, 'method': method, 'params': params}))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            text = self.page.receive(1)
            if text is None:
                continue
            message = json.loads(text)
            if message.get('id') != number:
                self._take(message)
            elif 'error' in message:
                raise RuntimeError(f"{method}: {message['error']['message']}")
            else:
                return message['result']
        raise RuntimeError(f'{method}: no answer')

    def evaluate(self, expression):
        result = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            details = result['exceptionDetails']
            raise RuntimeError(details.get('exception', {}).get('description', details['text']))
        return result['result'].get('value')

    def wait(self, expression, timeout_s=10):
        """Polls until it is true; returns whether it became so."""
        deadline = time.monotonic() + timeout_s
        while not self.evaluate(expression):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.03)
        return True

    def go(self, url):
        self.call('Page.navigate', url=url)
        return self.wait("document.readyState === 'complete' && location.protocol.startsWith('http')")

    def size(self, width, height, scale=1):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=scale,
                  mobile=False)

    def scheme(self, name):
        self.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': name}])

    def key(self, name, modifiers=0):
        code = KEYS.get(name)
        event = {'key': name, 'modifiers': modifiers}
        if code:
            event |= {'code': name, 'windowsVirtualKeyCode': code}
            text = {'Enter': '\r', 'Space': ' '}.get(name)
            if name == 'Space':
                event['key'] = ' '
        else:
            text = name
        self.call('Input.dispatchKeyEvent', type='keyDown', **event, **({'text': text} if text else {}))
        self.call('Input.dispatchKeyEvent', type='keyUp', **event)

    def type(self, text):
        """Replaces what a field holds."""
        self.evaluate('document.activeElement.select()')
        self.key_delete()
        for letter in text:
            self.key(letter)

    def key_delete(self):
        event = {'key': 'Delete', 'code': 'Delete', 'windowsVirtualKeyCode': 46}
        self.call('Input.dispatchKeyEvent', type='keyDown', **event)
        self.call('Input.dispatchKeyEvent', type='keyUp', **event)

    def screenshot(self, path):
        data = self.call('Page.captureScreenshot', format='png')['data']
        with open(path, 'wb') as file:
            file.write(base64.b64decode(data))

    def close(self):
        try:
            if hasattr(self, 'page'):
                self.page.close()
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        except ProcessLookupError:
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.profile, ignore_errors=True)
