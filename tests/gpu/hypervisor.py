#!/usr/bin/env python3
"""hypervisor.py [TREE] - the daemon's claims on real hardware, in about three minutes, from an installed tree
(build/stage/usr, or the one given) on a machine with a driver; it needs Python and nothing else.

    VGPU_JSON=FILE     where the rows go as JSON (default: hypervisor.json in $OUT or .)
    VGPU_SECONDS=N     how long the tenants that change at random run (default 60)

The same script runs on the simulator: vgpu sim -- tests/gpu/hypervisor.py. The last line is the sum.
"""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TREE = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / '../../build/stage/usr').resolve()
os.environ['PATH'] = f'{TREE}/bin:' + os.environ['PATH']
SECONDS = int(os.environ.get('VGPU_SECONDS', '60'))
STARTED = time.monotonic()
rows = []


def row(claim, got, operator, bar, unit):
    passes = got is not None and (got <= bar if operator == '<=' else got >= bar if operator == '>=' else got == bar)
    text = '-' if got is None else f'{got:.6g}'
    print(f"{'pass' if passes else 'fail':4}  {claim:78} {text:>10}  {operator:2} {bar:<8} {unit}", flush=True)
    rows.append({'claim': claim, 'got': text, 'bar': f'{operator} {bar}', 'unit': unit, 'pass': passes})


class Daemon:
    def __init__(self, runtime):
        self.runtime = runtime
        self.log = open(f'{runtime}/daemon.log', 'ab')
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(['vgpu-hypervisor', '--api-listen-addr', ''], stderr=self.log,
                                        stdin=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if subprocess.run(['vgpu', 'reload'], capture_output=True).returncode == 0:
                return
            time.sleep(0.02)
        raise SystemExit('the daemon does not begin: ' + Path(f'{self.runtime}/daemon.log').read_text())

    def kill(self):
        self.process.kill()
        self.process.wait()


def tenant(name, limits, seconds, *more):
    directory = os.environ['VGPU_RUNTIME_DIR']
    command = ['vgpu', 'run', '--name', name, *limits, '--', 'vgpu', 'burn', '--rate', f'{directory}/rate', '--warm-up',
               '1', '--seconds', str(seconds), '--json', '--trace', f'{directory}/{name}.trace', *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def listed():
    return json.loads(subprocess.run(['vgpu', 'ps', '--json'], check=True, capture_output=True, text=True).stdout)


def finish(process):
    """Its figures; its name is free again afterwards."""
    output, _ = process.communicate()
    name = process.args[process.args.index('--name') + 1]
    end = time.monotonic() + 5
    while any(name == shown['name'] for shown in listed()) and time.monotonic() < end:
        time.sleep(0.05)
    return json.loads(output) if output.strip() else None


def trace(name):
    """Pairs of instant (s, CLOCK_MONOTONIC) and share."""
    lines = Path(f"{os.environ['VGPU_RUNTIME_DIR']}/{name}.trace").read_text().splitlines()
    return [(float(a) / 1e9, float(b)) for a, b in (line.split() for line in lines)]


def mean(points, begin, end):
    found = [share for at, share in points if begin <= at < end - 0.1]
    return sum(found) / len(found) if found else None


LOW_MOST = 3.0  # percent, of a low tenant beside busy others without a cap
HIGH_US, NORMAL_US = 4000, 1000  # slices while a high one is busy: docs/design/sharing.md


def entitlement(tenants):
    """The model: name to the least and the most percent. Caps first, as they sum to no more than the whole; the rest
    by weight to those without. A low one has what is left beside them, a high one four times what others have in the
    mean. The switches between them cost: 195 us each, beside a high one also those of the capped."""
    open_ones = dict(tenants)
    found = {}
    has_high = any(priority == 'high' for _, _, priority in tenants.values())
    while open_ones:
        normals = [weight for _, weight, priority in open_ones.values() if priority == 'normal']
        all_normals = [weight for _, weight, priority in tenants.values() if priority == 'normal']
        turns = {}
        for name, (_, weight, priority) in open_ones.items():
            mean = NORMAL_US * len(all_normals) / sum(all_normals) if has_high else 8000 * len(normals) / sum(normals)
            turns[name] = HIGH_US if priority == 'high' else 100 if priority == 'low' else mean * weight
        left = 100 - sum(most for _, most in found.values())
        count = len(tenants) if has_high else len(turns)
        work, loss = sum(turns.values()), 195 * count if count > 1 else 0
        part = {name: left * turn / (work + loss) for name, turn in turns.items()}
        full = [name for name in open_ones if open_ones[name][0]]
        if not full:
            break
        for name in full:
            found[name] = (open_ones[name][0], open_ones.pop(name)[0])
    for name in open_ones:
        # Beside capped ones slices are shorter, and while those are off there may be nobody to switch with.
        most = left * turns[name] / work
        found[name] = (min(part[name], most * 0.96), most if len(open_ones) < len(tenants) else part[name])
        if open_ones[name][2] == 'low':
            found[name] = (0.01, LOW_MOST)
    return found


def calibrate():
    subprocess.run(['vgpu', 'burn', '--seconds', '1', '--save-rate', f"{os.environ['VGPU_RUNTIME_DIR']}/rate"], check=True,
                   stdout=subprocess.DEVNULL)


def three_together():
    cool = ('--cool-down', '2')
    running = {'a': tenant('a', ['--compute', '30%'], 10, *cool), 'b': tenant('b', ['--compute', '50%'], 10, *cool),
               'c': tenant('c', [], 10, *cool)}
    shares = {name: finish(process)['share_percent'] for name, process in running.items()}
    row(f"30 %, 50 % and a free tenant: the first: {shares['a']:.2f}", abs(shares['a'] - 30), '<=', 1.5, 'points')
    row(f"… the second: {shares['b']:.2f}", shares['b'], '<=', 51.5, '%')
    row('… sum of the three', sum(shares.values()), '>=', 95, '%')


SETTLE_S, WINDOW_S = 0.5, 5.0


class Life:
    """Tenants that join, leave and are changed, and since when which were there with which limits."""

    def __init__(self):
        self.source = random.Random(4)
        self.limits = {'a': (30, 1, 'normal'), 'b': (20, 1, 'normal'), 'c': (None, 1, 'normal'),
                       'd': (None, 3, 'normal')}
        self.running, self.history, self.gone = {}, [], []
        self.joined = 0

    def options(self, name):
        cap, weight, priority = self.limits[name]
        return ['--compute', f'{cap}%' if cap else 'none', '--weight', str(weight), '--priority', priority]

    def start(self, name):
        self.running[name] = tenant(name, self.options(name), 3600)

    def wait_running(self):
        path = os.environ['VGPU_RUNTIME_DIR']
        end = time.monotonic() + 20
        while not all(os.path.exists(f'{path}/{name}.trace') and os.path.getsize(f'{path}/{name}.trace')
                      for name in self.running):
            if time.monotonic() > end:
                raise SystemExit('somebody does not begin')
            time.sleep(0.05)

    def end(self, name):
        for process in [entry for entry in listed() if entry['name'] == name][0]['processes']:
            os.kill(process['pid'], signal.SIGTERM)
        finish(self.running.pop(name))

    def note(self):
        self.history.append((time.monotonic(), dict(self.limits)))

    def join(self, limits):
        self.joined += 1
        name = f'j{self.joined}'
        self.limits[name] = limits
        self.start(name)
        self.wait_running()

    def leave(self):
        name = f'j{self.joined}'
        del self.limits[name]
        self.gone.append(name)
        self.end(name)

    def change(self):
        name = self.source.choice('abcd')
        cap, weight, priority = self.limits[name]
        if name in 'ab':
            others = self.limits['b' if name == 'a' else 'a'][0]
            cap = self.source.choice([n for n in (10, 20, 30, 40) if n + others <= 60])
        else:
            weight = self.source.randint(1, 8)
        self.limits[name] = (cap, weight, priority)
        subprocess.run(['vgpu', 'set', name, *self.options(name)], check=True)

    def run(self):
        steps = [self.change, lambda: self.join((None, 2, 'low')), self.change, self.leave,
                 lambda: self.join((None, 1, 'high')), self.change, self.leave,
                 lambda: self.join((10, 1, 'normal')), self.leave]
        for name in self.limits:
            self.start(name)
        self.wait_running()
        begin = time.monotonic()
        self.note()
        pause = max(WINDOW_S + SETTLE_S + 0.25, SECONDS / (len(steps) + 1))
        while time.monotonic() < begin + SECONDS - 2 * pause:
            time.sleep(pause)
            self.history.append((time.monotonic(), None)) # what is changing is nobody's entitlement
            steps[(len(self.history) // 2 - 1) % len(steps)]()
            self.note()
        time.sleep(pause)
        self.history.append((time.monotonic(), None))
        for name in list(self.running):
            self.end(name)


def judge(life, traces):
    """The worst of all 5 s in which nothing changed, and how many there were."""
    worst, count = 0.0, 0
    for (since, state), (until, _) in zip(life.history, life.history[1:]):
        if not state:
            continue
        shown, at, wanted = [], since + SETTLE_S, entitlement(state)
        while at + WINDOW_S <= until:
            for name, (least, most) in wanted.items():
                got = mean(traces[name], at, at + WINDOW_S)
                count += 1
                worst = max(worst, 100 if got is None else max(least - got, got - most))
                shown.append(f'{name} {got or 0:.2f} of {least:.2f}-{most:.2f}')
            at += 0.25
        print(f'#   {since - life.history[0][0]:5.1f} s: ' + ', '.join(shown[:len(wanted)]))
    return worst, count


def change_at_random():
    life = Life()
    life.run()
    traces = {name: trace(name) for name in [*life.limits, *life.gone]}
    worst, count = judge(life, traces)
    hungriest = 0.0
    for points in traces.values():
        still = 0.0
        for _, share in points:
            still = still + 0.1 if share == 0 else 0.0
            hungriest = max(hungriest, still)
    changes = len(life.history) // 2 - 1
    row(f'four or five tenants, {SECONDS} s, {changes} changes, joins and leaves: judged shares of 5 s', count, '>=',
        5 * changes, '')
    row('… the worst of them', worst, '<=', 2, 'points')
    row('… longest time that one of them got nothing', hungriest, '<=', 1, 's')


def kill_daemon(daemon):
    running = {'a': tenant('a', ['--compute', '30%', '--memory', '8GiB'], 16, '--cool-down', '2'),
               'b': tenant('b', [], 16, '--cool-down', '2')}
    time.sleep(3)
    longest = 0.0
    for _ in range(10):
        daemon.kill()
        began = time.monotonic()
        daemon.start()
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.6)
    results = {name: finish(process) for name, process in running.items()}
    row(f"daemon killed 10 times: share of the one with 30 %: {results['a']['share_percent']:.2f}",
        abs(results['a']['share_percent'] - 30), '<=', 0.7, 'points')
    row('… longest time that a tenant stood still', max(r['longest_pause_ms'] for r in results.values()), '<=', 200, 'ms')
    row('… longest until a new daemon answered', longest * 1000, '<=', 1000, 'ms')


def status(name):
    return [shown for shown in listed() if shown['name'] == name][0]


def kill_supervisor():
    process = tenant('a', ['--compute', '30%'], 14, '--cool-down', '1')
    other = tenant('b', [], 14, '--cool-down', '1')
    time.sleep(3)
    kills = []
    for number in range(6):
        os.kill(status('a')['supervisor_pid'], signal.SIGSTOP if number % 2 else signal.SIGKILL)
        kills.append(time.monotonic())
        time.sleep(1.7)
    result = finish(process)
    finish(other)
    points = trace('a')
    back = 0.0
    for at in kills:
        after = [when for when, share in points if when > at and abs(share - 30) > 5]
        last = max((when for when in after if when < at + 1.6), default=at)
        back = max(back, last + 0.1 - at)
    row('supervisor killed or stopped 6 times under the daemon: longest until the cap is back', back * 1000, '<=', 1000, 'ms')
    row('… longest time that the tenant stood still', result['longest_pause_ms'], '<=', 200, 'ms')


def suspend():
    process = tenant('a', [], 8, '--trace-ms', '20')
    time.sleep(3)
    instants = {}
    for word in ('suspend', 'resume'):
        instants[word] = time.monotonic()
        subprocess.run(['vgpu', 'set', 'a', f'--{word}'], check=True)
        time.sleep(2)
    finish(process)
    points = trace('a')
    off = [share for at, share in points if instants['suspend'] + 0.15 < at < instants['resume'] - 0.05]
    ran = [at for at, share in points if instants['suspend'] < at < instants['resume'] - 0.05 and share > 1]
    resumed = [at for at, share in points if at > instants['resume'] and share > 50]
    row('suspended for 2 s: most that it got in 20 ms', max(off) if off else 0.0, '<=', 0, '%')
    row('… until it stood still', ((max(ran) if ran else instants['suspend']) + 0.02 - instants['suspend']) * 1000, '<=', 100, 'ms')
    row('… until it ran again', (min(resumed) - instants['resume']) * 1000 if resumed else None, '<=', 100, 'ms')


def ask(path):
    socket = f"{os.environ['VGPU_RUNTIME_DIR']}/api"
    import http.client
    import socket as sockets
    connection = http.client.HTTPConnection('localhost')
    connection.sock = sockets.socket(sockets.AF_UNIX)
    connection.sock.connect(socket)
    connection.request('GET', path)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b'null') if path.startswith('/api') else answer.read()


def show():
    process = tenant('a', ['--memory', '8GiB'], 6, '--memory', '2GiB')
    stranger = subprocess.Popen(['vgpu', 'burn', '--seconds', '6', '--json'], stdout=subprocess.DEVNULL)
    time.sleep(4)
    gpu = ask('/api/v1/gpus')[1]['gpus'][0]
    share = ask('/api/v1/tenants/a')[1]
    share = share['gpus'][0]
    foreign = [entry['pid'] for entry in ask('/api/v1/node')[1]['foreign']]
    finish(process)
    stranger.wait()
    row('/healthz', ask('/healthz')[0], '=', 200, '')
    row("the ledger's figure less NVML's, of a tenant", share['memory_used_bytes'] - (share['memory_nvml_bytes'] or 0), '=', 0,
        'bytes')
    row('the process without a tenant is shown, and no other', float(foreign == [stranger.pid]), '=', 1, '')
    known = sum(gpu[key] is not None for key in ('temperature_celsius', 'power_watts', 'sm_clock_mhz', 'busy_percent',
                                                 'memory_used_bytes', 'pcie_receive_bytes_per_second'))
    print(f'# of six figures of the card {known} are known: {gpu}')


def idle():
    seconds, ticks = 10, os.sysconf('SC_CLK_TCK')
    sleepers = [subprocess.Popen(['vgpu', 'run', '--name', f'idle{number}', '--compute', '10%', '--', 'sleep',
                                  str(seconds + 6)]) for number in range(8)]
    time.sleep(3)

    def used(pid):
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        return int(fields[11]) + int(fields[12])

    pid = daemon.process.pid
    before = used(pid)
    time.sleep(seconds)
    row('the daemon with 8 tenants: processor', (used(pid) - before) / ticks / seconds * 100, '<=', 1, '%')
    resident = [line for line in Path(f'/proc/{pid}/status').read_text().splitlines() if line.startswith('VmRSS')][0]
    row('… resident', int(resident.split()[1]) / 1024, '<=', 30, 'MiB')
    for sleeper in sleepers:
        sleeper.wait()


with tempfile.TemporaryDirectory(prefix='vgpu-') as place:
    os.environ['VGPU_RUNTIME_DIR'] = place
    calibrate()
    daemon = Daemon(place)
    try:
        for group in (three_together, suspend, lambda: kill_daemon(daemon), kill_supervisor, show, idle, change_at_random):
            group()
    finally:
        daemon.process.terminate()
        status_code = daemon.process.wait()
        row('the daemon ended well', status_code, '=', 0, '')
        if any(not r['pass'] for r in rows):
            print(Path(f'{place}/daemon.log').read_text()[-3000:])
name = subprocess.run(['nvidia-smi', '--query-gpu=name', '--format=csv,noheader', '-i', '0'], capture_output=True,
                      text=True).stdout.strip() if os.path.exists('/usr/bin/nvidia-smi') else 'simulated'
Path(os.environ.get('VGPU_JSON', os.environ.get('OUT', '.') + '/hypervisor.json')).write_text(
    json.dumps({'gpu': name, 'rows': rows}, indent=1) + '\n')
passed = sum(r['pass'] for r in rows)
print(f'# {time.monotonic() - STARTED:.0f} s in all')
print(f'{passed} passed, {len(rows) - passed} failed')
sys.exit(passed != len(rows))
