#!/usr/bin/env python3
"""Tenants of a daemon that join, leave and change at random, against a model of what each is to get.

    hypervisor_random.py DIRECTORY SECONDS SEED

DIRECTORY is for traces and holds `rate`, what the kernels reach alone. Runs inside `vgpu sim` with two
GPUs, beside a daemon. Prints what it saw as comments, then one line of JSON.

The model knows nothing of how vgpu plans. On one GPU with busy tenants: who has a cap gets the cap (their
sum is kept below the whole); what is left goes to those without one, by weight. A low one beside others
without a cap has only what they leave, and is not starved: more than nothing and at most LOW_MOST. What is
given out is what the tenants together got: the switches between them cost some, judged by itself.
"""
import json
import os
import random
import signal
import subprocess
import sys
import time

GPUS = 2
TENANTS = 8
SETTLE_S = 1.0   # after a change
WINDOW_S = 5.0   # judged
TRACE_NS = 100e6
CAPS_MOST = 70   # of a GPU, together
LOW_MOST = 3.0   # percent, of a low one beside busy others: 100 us in each of their cycles


class Tenant:
    """One that burns, with what was asked for it."""

    def __init__(self, name, gpu, directory):
        self.name, self.gpu = name, gpu
        self.cap, self.weight, self.priority = None, 1, 'normal'
        self.trace = os.path.join(directory, name + '.trace')
        self.log = os.path.join(directory, name + '.err')
        self.process = None

    def start(self, rate):
        words = ['vgpu', 'run', '--name', self.name, '--gpu', str(self.gpu), *self.options(), '--',
                 'vgpu', 'burn', '--kernel-us', '100', '--warm-up', '0.2', '--seconds', '3600',
                 '--trace', self.trace, '--rate', rate]
        with open(self.log, 'w') as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)

    def options(self):
        words = ['--weight', str(self.weight), '--priority', self.priority]
        return words + ['--compute', f'{self.cap}%' if self.cap else 'none']

    def windows(self):
        """(begin in ns, share in percent) of each whole line of the trace."""
        try:
            with open(self.trace) as file:
                lines = file.read().split('\n')[:-1]
        except OSError:
            return []
        return [(float(begin), float(share)) for begin, share in (line.split()[:2] for line in lines)]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def entitlements(tenants, shares):
    """Name to percent, on one GPU where all together got so much."""
    wanted = {tenant.name: tenant.cap for tenant in tenants if tenant.cap}
    free = [tenant for tenant in tenants if not tenant.cap]
    sharing = [tenant for tenant in free if tenant.priority != 'low'] or free
    for tenant in free:
        if tenant not in sharing: # within its bounds what it got is right
            wanted[tenant.name] = min(LOW_MOST, max(0.01, shares[tenant.name]))
    left = max(0.0, sum(shares.values()) - sum(wanted.values()))
    weights = sum(tenant.weight for tenant in sharing)
    for tenant in sharing:
        wanted[tenant.name] = left * tenant.weight / weights
    return wanted


class Play:
    """What happens, and what came of it."""

    def __init__(self, directory, seed):
        self.directory, self.dice = directory, random.Random(seed)
        self.rate = os.path.join(directory, 'rate')
        self.tenants, self.number = [], 0
        self.judged, self.misses, self.worst = 0, 0, 0.0
        self.least = {'low': 100.0, 'normal': 100.0} # all tenants of a GPU together
        self.pause_s, self.failures, self.changes = 0.0, 0, 0
        self.gone = []

    def on(self, gpu):
        return [tenant for tenant in self.tenants if tenant.gpu == gpu]

    def choose_limits(self, tenant):
        """Of what the model has something to say about: one low tenant a GPU, without a cap."""
        others = [other for other in self.on(tenant.gpu) if other is not tenant]
        room = CAPS_MOST - sum(other.cap or 0 for other in others)
        caps = [cap for cap in (5, 10, 20, 30, 45) if cap <= room]
        tenant.weight = self.dice.choice((1, 1, 2, 3, 5))
        tenant.priority, tenant.cap = 'normal', None
        what = self.dice.random()
        if what < 0.5 and caps:
            tenant.cap = self.dice.choice(caps)
        elif what < 0.65 and all(other.priority != 'low' for other in others):
            tenant.priority = 'low'

    def join(self, gpu):
        self.number += 1
        tenant = Tenant(f't{self.number}', gpu, self.directory)
        self.choose_limits(tenant)
        self.tenants.append(tenant)
        tenant.start(self.rate)
        return tenant

    def wait_running(self):
        end = time.monotonic() + 20
        while not all(tenant.windows() for tenant in self.tenants):
            if time.monotonic() > end:
                print('# somebody does not begin')
                self.failures += 1
                return
            time.sleep(0.05)

    def leave(self):
        tenant = self.dice.choice(self.tenants)
        self.tenants.remove(tenant)
        self.gone.append(tenant)
        tenant.end()
        return tenant

    def change(self):
        self.changes += 1
        what = self.dice.random()
        if what < 0.25:
            tenant = self.leave()
            return f'{tenant.name} leaves GPU {tenant.gpu}'
        if what < 0.55 and len(self.tenants) < TENANTS:
            tenant = self.join(self.dice.randrange(GPUS))
            self.wait_running()
            return f'{tenant.name} joins GPU {tenant.gpu}: {" ".join(tenant.options())}'
        tenant = self.dice.choice(self.tenants)
        self.choose_limits(tenant)
        if subprocess.call(['vgpu', 'set', tenant.name, *tenant.options()]):
            self.failures += 1
        return f'{tenant.name} on GPU {tenant.gpu} is set to {" ".join(tenant.options())}'

    def judge(self, since_s):
        """What each got in the 5 s from SETTLE_S after the change on."""
        begin, end = (since_s + SETTLE_S) * 1e9, (since_s + SETTLE_S + WINDOW_S) * 1e9
        for gpu in range(GPUS):
            shares = {}
            for tenant in self.on(gpu):
                got = [share for at, share in tenant.windows() if begin <= at and at + TRACE_NS <= end]
                shares[tenant.name] = sum(got) / len(got) if got else 0.0
            if not shares:
                continue
            wanted = entitlements(self.on(gpu), shares)
            if any(not tenant.cap for tenant in self.on(gpu)):
                kind = 'low' if any(tenant.priority == 'low' for tenant in self.on(gpu)) else 'normal'
                self.least[kind] = min(self.least[kind], sum(shares.values()))
            for name, share in shares.items():
                self.judged += 1
                error = abs(share - wanted[name])
                self.worst = max(self.worst, error)
                if error > 2:
                    self.misses += 1
                    print(f'# GPU {gpu}: {name} got {share:.2f}, wanted {wanted[name]:.2f}')
            print(f'# GPU {gpu}: ' + ', '.join(f'{name} {share:.1f}/{wanted[name]:.1f}'
                                              for name, share in shares.items()), flush=True)

    def find_pauses(self):
        """The longest time in which a tenant got nothing, from its first window to its last."""
        for tenant in self.tenants + self.gone:
            last = None
            for begin, share in tenant.windows():
                if last is not None and begin - last > TRACE_NS * 1.5:
                    self.pause_s = max(self.pause_s, (begin - last) / 1e9)
                if share > 0 or last is None:
                    last = begin + TRACE_NS

    def run(self, seconds):
        for number in range(TENANTS - 1):
            self.join(number % GPUS)
        self.wait_running()
        end, since = time.monotonic() + seconds, time.monotonic()
        while True:
            time.sleep(max(0, since + SETTLE_S + WINDOW_S + 0.25 - time.monotonic()))
            self.judge(since)
            if time.monotonic() > end:
                break
            print('# ' + self.change(), flush=True)
            since = time.monotonic()
        self.find_pauses()

    def finish(self):
        for tenant in self.tenants:
            tenant.end()


def main():
    directory, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    play = Play(directory, seed)
    try:
        play.run(seconds)
    finally:
        play.finish()
    print(json.dumps({'changes': play.changes, 'judged': play.judged, 'misses': play.misses,
                      'worst': round(play.worst, 2), 'least_sum': round(play.least['normal'], 2),
                      'least_sum_low': round(play.least['low'], 2),
                      'pause_s': round(play.pause_s, 2), 'failures': play.failures}))


if __name__ == '__main__':
    main()
