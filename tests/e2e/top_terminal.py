"""top_terminal - `vgpu top` in a terminal of its own, for top_terminal.sh: keys in, what is on the screen out.

Speaks TAP. Expects to run inside `vgpu sim`, with the tenants `busy` (capped at 20 %) and `idle`.
"""
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

COUNT = 0
FAILED = 0
COLOUR = re.compile(rb'\x1b\[(\d+;)*3[0-7](;\d+)*m')


def ok(sentence, condition):
    global COUNT, FAILED
    COUNT += 1
    FAILED += not condition
    print(f'{"ok" if condition else "not ok"} {COUNT} - {sentence}', flush=True)
    return condition


class Screen:
    """As much of a terminal as `vgpu top` makes use of under TERM=linux: a grid and a cursor."""

    def __init__(self, rows, columns):
        self.resize(rows, columns)
        self.rest = ''

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.grid = [[' '] * columns for _ in range(rows)]
        self.row = self.column = 0

    def text(self):
        return '\n'.join(''.join(row).rstrip() for row in self.grid)

    def take(self, text):
        text = self.rest + text
        self.rest = ''
        while text:
            match = re.match(r'\x1b\[([?0-9;]*)([A-Za-z@`])|\x1b[()][A-Z0-9]|\x1b\]R|\x1b[=>78MDc]',
                             text)
            if match:
                if match.group(2):
                    self.control(match.group(1), match.group(2))
                text = text[match.end():]
            elif text[0] == '\x1b':
                self.rest = text
                return
            else:
                self.put(text[0])
                text = text[1:]

    def put(self, character):
        if character == '\r':
            self.column = 0
        elif character == '\n':
            self.row = min(self.row + 1, self.rows - 1)
        elif character == '\b':
            self.column = max(self.column - 1, 0)
        elif character >= ' ':
            if self.column >= self.columns:
                self.row, self.column = min(self.row + 1, self.rows - 1), 0
            self.grid[self.row][self.column] = character
            self.column += 1

    def control(self, parameters, final):
        numbers = [int(n) if n else 0 for n in parameters.lstrip('?').split(';')]
        first = max(numbers[0], 1)
        row = self.grid[min(self.row, self.rows - 1)]
        if final in 'Hf':
            self.row = min(first - 1, self.rows - 1)
            self.column = max(numbers[1] if len(numbers) > 1 else 1, 1) - 1
        elif final == 'G':
            self.column = first - 1
        elif final == 'd':
            self.row = min(first - 1, self.rows - 1)
        elif final == 'A':
            self.row = max(self.row - first, 0)
        elif final == 'B':
            self.row = min(self.row + first, self.rows - 1)
        elif final == 'C':
            self.column += first
        elif final == 'D':
            self.column = max(self.column - first, 0)
        elif final == 'J':
            for i in range(self.row + 1, self.rows):
                self.grid[i] = [' '] * self.columns
            row[self.column:] = [' '] * (self.columns - self.column)
            if numbers[0] == 2:
                self.grid = [[' '] * self.columns for _ in range(self.rows)]
        elif final == 'K':
            begin, end = (self.column, self.columns) if numbers[0] == 0 else (0, self.column + 1)
            row[begin:end] = [' '] * (end - begin)
        elif final == 'X':
            row[self.column:self.column + first] = [' '] * min(first, self.columns - self.column)
        elif final == 'P':
            del row[self.column:self.column + first]
            row.extend([' '] * (self.columns - len(row)))
        elif final == '@':
            row[self.column:self.column] = [' '] * first
            del row[self.columns:]
        elif final == 'L':
            for _ in range(first):
                self.grid.insert(self.row, [' '] * self.columns)
                self.grid.pop()
        elif final == 'M':
            for _ in range(first):
                del self.grid[self.row]
                self.grid.append([' '] * self.columns)


# As a shell starts it: in a process group of its own, whose parent in the session could continue it.
JOB = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = os.fork()
if not child:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[1], sys.argv[1:])
status = os.waitpid(child, 0)[1]
if os.WIFSIGNALED(status):
    signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
    os.kill(os.getpid(), os.WTERMSIG(status))
sys.exit(os.WEXITSTATUS(status))
"""


class Top:
    """`vgpu top` with a terminal that this process holds the other end of."""

    def __init__(self, *options, rows=24, columns=80, as_job=False, **environment):
        self.master, self.slave = pty.openpty()
        self.screen = Screen(rows, columns)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.bytes = b''
        self.as_job = as_job
        self.process = subprocess.Popen(
            [*([sys.executable, '-c', JOB] if as_job else []), 'vgpu', 'top', *options], stdin=self.slave, stdout=self.slave, stderr=self.slave,
            start_new_session=True, env={**os.environ, 'TERM': 'linux', **environment},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            more = os.read(self.master, 65536)
            self.bytes += more
            self.screen.take(more.decode('utf-8', 'replace'))
            return more
        return b''

    def shows(self, pattern, seconds=10):
        """Whether the screen comes to match."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.screen.text()):
            if time.monotonic() > end:
                print('# ' + self.screen.text().replace('\n', '\n# '))
                return False
            self.read(0.05)
        return True

    def press(self, keys):
        os.write(self.master, keys.encode())

    def change(self, keys):
        """Whether a limit's prompt ends in its change; no message of one before is there meanwhile."""
        self.press('x')
        return self.shows(r'(?s)^(?!.*\n changed)') and not self.press(keys) and self.shows('\n changed')

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def wait(self, seconds=10):
        """The exit status (negative: the signal), None where it does not end."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.02)
        while self.read(0.05):
            pass
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            return None
        return self.process.returncode

    def pid(self):
        """Of `vgpu top` itself."""
        pid = self.process.pid
        if self.as_job:
            with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
                pid = int(file.read())
        return pid

    def state(self):
        with open(f'/proc/{self.pid()}/stat', encoding='ascii') as file:
            return file.read().rsplit(')', 1)[1].split()[0]

    def comes_to_state(self, state, seconds=10):
        end = time.monotonic() + seconds
        while self.state() != state and time.monotonic() < end:
            self.read(0.02)
        return self.state() == state

    def is_restored(self):
        """Its modes are those it had, and the cursor is there."""
        return termios.tcgetattr(self.slave) == self.before and \
            self.bytes.rfind(b'\x1b[?25h') > self.bytes.rfind(b'\x1b[?25l')

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def ps(name):
    listed = json.loads(subprocess.run(['vgpu', 'ps', '--json', name], capture_output=True,
                                       check=True).stdout)
    return listed[0]


def comes_true(function, seconds=10):
    end = time.monotonic() + seconds
    while not function() and time.monotonic() < end:
        time.sleep(0.02)
    return function()


def keys_and_limits():
    top = Top('--sort', 'name', '--interval', '0.2', LC_ALL='C.UTF-8')
    ok('it shows the tenants', top.shows(r'> busy +running') and top.shows(r'  idle +running'))
    ok('and what the capped one uses', top.shows(r'busy +running +0 +\d+\.\d% +20\.0%'))
    ok('it has the terminal for itself', not termios.tcgetattr(top.slave)[3] & termios.ICANON)
    ok('the cursor is hidden', b'\x1b[?25l' in top.bytes)
    ok('there are colours', bool(COLOUR.search(top.bytes)))
    ok('its history is drawn', top.shows('[\u2840-\u28ff]'))
    top.press('j')
    ok('j chooses the next', top.shows(r'> idle'))
    top.press('\x1b[A')
    ok('an arrow goes back', top.shows(r'> busy'))
    top.press('?')
    ok('? shows the keys', top.shows('Any key leaves this page'))
    top.press('x')
    ok('any key leaves them', top.shows(r'> busy'))
    top.press('c')
    ok('c asks for a cap', top.shows(r'busy: cap on GPU time \(30%, none\): _'))
    top.press('300\r')
    ok('nonsense is refused with words', top.shows(r"failed: '300' is not"))
    top.press('\x1b')
    ok('Esc leaves', top.shows(r'q quit'))
    ok('a cap is changed', top.change('c40\r'))
    ok('which vgpu ps shows', ps('busy')['gpus'][0]['compute_limit_percent'] == 40)
    ok('and the screen', top.shows(r'busy +running +0 +\d+\.\d% +40\.0%'))
    ok('the memory limit', top.change('m512MiB\r'))
    ok('as well', ps('busy')['gpus'][0]['memory_limit_bytes'] == 512 << 20)
    ok('the weight', top.change('w5\r'))
    ok('as well', ps('busy')['gpus'][0]['weight'] == 5)
    ok('the priority', top.change('plow\r'))
    ok('as well', ps('busy')['gpus'][0]['priority'] == 'low')
    top.press('/idl')
    ok('a filter works as it is typed', top.shows(r'filter: idl \(1\)') and top.shows('> idle'))
    ok('and hides the others', 'busy ' not in top.screen.text())
    top.press('\x1b')
    ok('Esc drops it', top.shows(r'> *idle') and top.shows('busy +running'))
    top.resize(15, 60)
    ok('it follows the terminal', top.shows(r'(?s)\A[^\n]{0,60}\n.*c cap\Z') and
       len(top.screen.text().split('\n')[-1]) <= 60)
    top.resize(50, 200)
    ok('to any size', top.shows('USED OVER TIME') and top.shows(r'z suspend/resume'))
    top.press('q')
    ok('q ends it', top.wait() == 0)
    ok('the terminal is as it was', top.is_restored())
    top.close()


def hung_supervisor():
    """A tenant like any other, whose supervisor takes connections and says nothing."""
    folder = os.environ['VGPU_RUNTIME_DIR'] + '/tenants/hung'
    os.mkdir(folder, 0o700)
    with open(folder + '/lock', 'w', encoding='ascii') as lock, \
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        fcntl.flock(lock, fcntl.LOCK_EX)
        listener.bind(folder + '/control')
        listener.listen(128)
        beside_hung_supervisor()
    shutil.rmtree(folder)


def beside_hung_supervisor():
    top = Top('--sort', 'name', '--interval', '0.2')
    top.shows('asking the tenants')
    begin = time.monotonic()
    top.press('?')
    ok('keys work while a supervisor hangs', top.shows('Any key leaves', 1))
    print(f'# measured: a key beside a hung supervisor, s: {time.monotonic() - begin:.3f}')
    top.press('x')
    ok('the hung one is said to be', top.shows('hung +no answer'))
    print(f'# measured: a hung supervisor is known after, s: {time.monotonic() - begin:.3f}')
    # From then on it keeps nobody waiting: ten refreshes take as long as ten do.
    begin = time.monotonic()
    subprocess.run(['vgpu', 'set', 'busy', '--weight', '77'], check=True)
    ok('the others are shown on time', top.shows(r'(?m)busy .* 77$', 1))
    print(f'# measured: a change is seen beside a hung supervisor after, s: {time.monotonic() - begin:.3f}')
    top.press('jm')
    ok('it cannot be changed', top.shows("failed: 'hung' has no supervisor that answers"))
    top.press('q')
    ok('it ends at once', top.wait(1) == 0)
    top.close()


def slow_line():
    """What has not changed is not sent again: a refresh costs a slow line what is new in it."""
    subprocess.run(['vgpu', 'set', 'busy', '--suspend'], check=True)
    top = Top('--sort', 'name', '--interval', '0.2')
    top.shows(r'busy +suspended +0 +0\.0%')
    whole = len(top.bytes)
    end = time.monotonic() + 2 # of what it had used before: its history has moved on
    while time.monotonic() < end:
        top.read(0.05)
    before, seconds = len(top.bytes), 4
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        top.read(0.05)
    refresh = (len(top.bytes) - before) / (seconds / 0.2)
    print(f'# measured: bytes of a whole screen: {whole}, of a refresh in which nothing is new: {refresh:.0f}')
    ok('a whole screen is more than a thousand bytes', whole > 1000)
    ok('a refresh in which nothing is new is less than a tenth of that', refresh < whole / 10)
    subprocess.run(['vgpu', 'set', 'busy', '--resume'], check=True)
    ok('what is new is sent', top.shows('busy +running'))
    top.press('q')
    top.wait()
    top.close()


def signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        top = Top()
        ok(f'{number.name}: it runs', top.shows('busy +running'))
        top.process.send_signal(number)
        ok(f'{number.name}: ends it as itself', top.wait() == -number)
        ok(f'{number.name}: the terminal is as it was', top.is_restored())
        top.close()
    top = Top(as_job=True)
    top.shows('busy +running')
    top.press('\x1a')
    ok('Ctrl-Z stops it', top.comes_to_state('T'))
    ok('with the terminal as it was', comes_true(lambda: top.read(0.02) == b'' and top.is_restored()))
    top.bytes = b''
    top.screen.resize(24, 80)
    os.kill(top.pid(), signal.SIGCONT)
    ok('it comes back whole', top.shows('busy +running') and top.shows('q quit'))
    ok('and takes the terminal again', not termios.tcgetattr(top.slave)[3] & termios.ICANON)
    top.press('\x03')
    ok('Ctrl-C ends it', top.wait() == -signal.SIGINT)
    ok('the terminal is as it was', top.is_restored())
    top.close()
    # Its parent is in another session: nobody could continue it.
    top = Top()
    top.shows('busy +running')
    top.press('\x1a?')
    ok('without a shell Ctrl-Z does nothing', top.shows('Any key leaves'))
    ok('and it has the terminal', not termios.tcgetattr(top.slave)[3] & termios.ICANON)
    top.press('xq')
    ok('and ends as ever', top.wait() == 0)
    top.close()


def plain_terminals():
    top = Top(NO_COLOR='1', LC_ALL='C')
    ok('NO_COLOR: it shows', top.shows('busy +running'))
    ok('no colours', not COLOUR.search(top.bytes))
    ok('without UTF-8 all is ASCII', all(byte < 0x80 for byte in top.bytes))
    top.press('q')
    ok('and ends', top.wait() == 0)
    top.close()
    top = Top(TERM='no-such-terminal')
    ok('an unknown terminal is refused', top.wait() == 1)
    ok('with words', b'TERM' in top.bytes and b'--once' in top.bytes)
    top.close()
    top = Top()
    top.shows('busy +running')
    # The other end goes away: what was a terminal is none any more.
    process, top.process = top.process, subprocess.Popen(['true'])
    top.process.wait()
    top.close()
    ok('a terminal that goes away ends it',
       comes_true(lambda: process.poll() is not None))
    if process.poll() is None:
        process.kill()
        process.wait()


keys_and_limits()
hung_supervisor()
slow_line()
signals()
plain_terminals()
print(f'1..{COUNT}')
sys.exit(FAILED > 0)
