#!/usr/bin/env python3
"""Tenants of a daemon that join, leave and change at random, against a model of what each is to get.

    hypervisor_random.py DIRECTORY SECONDS SEED

DIRECTORY is for traces and holds `rate`, what the kernels reach alone. Runs inside `vgpu sim` with two
GPUs, beside a daemon. Prints what it saw as comments, then one line of JSON.

The model is what docs/design/sharing.md promises, and knows nothing of what a tenant got. On one GPU with busy
tenants:

  - who has a cap gets the cap (their sum is kept below the whole)
  - a low one beside others without a cap has only what they leave, and is not starved: more than nothing and at most
    LOW_MOST
  - what the GPU does besides goes to the others without a cap: by weight, where a turn of a high one is HIGH_US and
    those of others beside it BESIDE_HIGH_US in the mean, or where there is only one, SINGLE_US

What the GPU does in all is a figure of its own: the whole less what switches cost, which is SWITCH_US for each turn.
Beside a high one without a cap turns are short, and the least that is to come of the GPU is what is left where
everybody on it, those with a cap as well, has his turn in each cycle; elsewhere the caller has a bar for it.

Every 5 s are judged in which nothing changed on a GPU, every STEP_S, from SETTLE_S after a change on.
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
SETTLE_S = 0.5   # after a change
WINDOW_S = 5.0   # judged
STEP_S = 0.25
CHANGE_S = 6.25  # from one change to the next
TRACE_NS = 100e6
SWITCH_US, TURN_US, HIGH_US, BESIDE_HIGH_US, LOW_US, SINGLE_US = 195, 8000, 4000, 1000, 100, 100
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


def turns_of(tenants):
    """Tenant to the length of its turn in us, on one GPU."""
    lows = [tenant for tenant in tenants if tenant.priority == 'low']
    # Low ones among themselves are as normal ones are.
    normals = lows if len(lows) == len(tenants) else [tenant for tenant in tenants if tenant.priority == 'normal']
    highs = [tenant for tenant in tenants if tenant.priority == 'high']
    mean_us = TURN_US if not highs else BESIDE_HIGH_US if len(tenants) > 2 else SINGLE_US
    weights = sum(tenant.weight for tenant in normals)
    turns = {tenant: LOW_US for tenant in lows}
    turns.update({tenant: HIGH_US for tenant in highs})
    turns.update({tenant: mean_us * len(normals) * tenant.weight / weights for tenant in normals})
    return turns


def caps_of(tenants):
    return sum(tenant.cap or 0 for tenant in tenants)


def entitlements(tenants, shares):
    """Name to the least and the most percent that it is to get, on one GPU where they got these shares."""
    turns = turns_of(tenants)
    wanted = {tenant.name: (tenant.cap, tenant.cap) for tenant in tenants if tenant.cap}
    free = [tenant for tenant in tenants if not tenant.cap]
    if len(free) > 1: # beside capped ones alone it is the one that has what they leave
        wanted.update({tenant.name: (0.01, LOW_MOST) for tenant in free if tenant.priority == 'low'})
    left = sum(shares.values()) - caps_of(tenants)
    left -= sum(shares[tenant.name] for tenant in free if tenant.name in wanted)
    free = [tenant for tenant in free if tenant.name not in wanted] or free
    work_us = sum(turns[tenant] for tenant in free)
    wanted.update({tenant.name: (left * turns[tenant] / work_us,) * 2 for tenant in free if tenant.name not in wanted})
    return wanted


def kind_of(tenants):
    """What decides on how short the turns on a GPU are."""
    if any(tenant.priority == 'high' and tenant.cap for tenant in tenants):
        return 'capped_high'
    kinds = {tenant.priority for tenant in tenants} if len(tenants) > 1 else set()
    return 'high' if 'high' in kinds else 'low' if 'low' in kinds else 'normal'


def least_beside_high(tenants):
    """What all tenants of a GPU are to get together, in percent, where one of them is high."""
    turns = turns_of(tenants)
    work_us = sum(turns[tenant] for tenant in tenants if not tenant.cap)
    left = 100 - caps_of(tenants)
    return caps_of(tenants) + left * work_us / (work_us + len(tenants) * SWITCH_US)


class Play:
    """What happens, and what came of it."""

    def __init__(self, directory, seed):
        self.directory, self.dice = directory, random.Random(seed)
        self.rate = os.path.join(directory, 'rate')
        self.tenants, self.number = [], 0
        self.judged, self.misses, self.worst = 0, 0, 0.0
        self.least = {} # all tenants of a GPU together, by what there is among them
        self.short = 0.0 # points that they had less than least_beside_high()
        self.pause_s, self.failures, self.changes = 0.0, 0, 0
        self.gone = []
        self.next_s = [0.0] * GPUS # where the next window that is judged begins

    def on(self, gpu):
        return [tenant for tenant in self.tenants if tenant.gpu == gpu]

    def choose_limits(self, tenant):
        """Of what the model has something to say about: one low tenant a GPU, without a cap, and one high one."""
        others = [other for other in self.on(tenant.gpu) if other is not tenant]
        room = CAPS_MOST - sum(other.cap or 0 for other in others)
        caps = [cap for cap in (5, 10, 20, 30, 45) if cap <= room]
        tenant.weight = self.dice.choice((1, 1, 2, 3, 5))
        tenant.priority, tenant.cap = 'normal', None
        what, is_high = self.dice.random(), self.dice.random() < 0.2
        if what < 0.5 and caps:
            tenant.cap = self.dice.choice(caps)
        elif what < 0.65 and all(other.priority != 'low' for other in others):
            tenant.priority = 'low'
        if is_high and tenant.priority == 'normal' and all(other.priority != 'high' for other in others):
            tenant.priority = 'high'

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
        """Does something, and says what, and on which GPU."""
        self.changes += 1
        what = self.dice.random()
        if what < 0.25:
            tenant = self.leave()
            return tenant.gpu, f'{tenant.name} leaves GPU {tenant.gpu}'
        if what < 0.55 and len(self.tenants) < TENANTS:
            tenant = self.join(self.dice.randrange(GPUS))
            self.wait_running()
            return tenant.gpu, f'{tenant.name} joins GPU {tenant.gpu}: {" ".join(tenant.options())}'
        tenant = self.dice.choice(self.tenants)
        self.choose_limits(tenant)
        if subprocess.call(['vgpu', 'set', tenant.name, *tenant.options()]):
            self.failures += 1
        return tenant.gpu, f'{tenant.name} on GPU {tenant.gpu} is set to {" ".join(tenant.options())}'

    def note_sum(self, gpu, total):
        """Returns what is to be said about what the GPU did, or nothing."""
        tenants = self.on(gpu)
        if all(tenant.cap for tenant in tenants):
            return []
        kind = kind_of(tenants)
        self.least[kind] = min(self.least.get(kind, 100.0), total)
        if kind != 'high':
            return []
        short = least_beside_high(tenants) - total
        self.short = max(self.short, short)
        return [f'all got {total:.2f}, {short:.2f} too little'] if short > 2 else []

    def judge_window(self, gpu, begin_s):
        """What each got in the 5 s from there on, what it was to get, and what is wrong with that."""
        begin, end = begin_s * 1e9, (begin_s + WINDOW_S) * 1e9
        shares = {}
        for tenant in self.on(gpu):
            got = [share for at, share in tenant.windows() if begin <= at and at + TRACE_NS <= end]
            shares[tenant.name] = sum(got) / len(got) if got else 0.0
        wanted, misses = entitlements(self.on(gpu), shares), self.note_sum(gpu, sum(shares.values()))
        for name, share in shares.items():
            least, most = wanted[name]
            error = max(least - share, share - most)
            self.judged += 1
            self.worst = max(self.worst, error)
            if error > 2:
                misses.append(f'{name} got {share:.2f}, wanted {least:.2f} to {most:.2f}')
        self.misses += len(misses)
        return shares, wanted, misses

    def judge(self, until_s):
        """All windows that end by then, and in which nothing changed."""
        for gpu in range(GPUS):
            shares, shown = {}, []
            while self.on(gpu) and self.next_s[gpu] + WINDOW_S <= until_s:
                shares, wanted, misses = self.judge_window(gpu, self.next_s[gpu])
                shown = shown or misses # the first ones: those that overlap them say the same
                self.next_s[gpu] += STEP_S
            for miss in shown:
                print(f'# GPU {gpu}, over 5 s: {miss}')
            if shares:
                print(f'# GPU {gpu}: ' + ', '.join(
                    f'{tenant.name} ({tenant.cap or "-"} {tenant.weight} {tenant.priority}) '
                    f'{shares[tenant.name]:.1f} of {wanted[tenant.name][0]:.1f}-'
                    f'{wanted[tenant.name][1]:.1f}' for tenant in self.on(gpu)), flush=True)

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
        now = time.monotonic()
        self.next_s = [now + SETTLE_S] * GPUS
        end = now + seconds
        while True:
            until = time.monotonic() + CHANGE_S
            time.sleep(CHANGE_S + 0.25) # what ends by then is in the traces a little later
            self.judge(until)
            if time.monotonic() > end:
                break
            gpu, words = self.change()
            print('# ' + words, flush=True)
            self.next_s[gpu] = time.monotonic() + SETTLE_S
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
                      'worst': round(play.worst, 2), 'pause_s': round(play.pause_s, 2), 'failures': play.failures,
                      'least': {kind: round(least, 2) for kind, least in play.least.items()},
                      'short': round(play.short, 2)}))


if __name__ == '__main__':
    main()
