#!/usr/bin/env python3
"""Makes a runtime directory that wants to cost whoever looks at it dear, and holds it until it is killed.

    hostile_places.py PLACE VICTIM

In PLACE: sockets that take connections and say nothing, one whose backlog is full under hundreds of names, links to
the socket at VICTIM, and many names of nothing. Says `ready` when all is there, and each second how often the silent
ones were connected to.
"""
import os
import socket
import sys
import time

NAMES, SILENT, LINKS, NOTHING = 800, 40, 100, 2000


def listen(place, name, backlog):
    path = os.path.join(place, 'tenants', name)
    os.makedirs(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(os.path.join(path, 'control'))
    listener.listen(backlog)
    listener.setblocking(False)
    return listener, os.path.join(path, 'control')


def fill(path):
    held = []
    while True:
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        filler.setblocking(False)
        try:
            filler.connect(path)
        except BlockingIOError:
            return held
        held.append(filler)


def add_names(place, prefix, count, add):
    for i in range(count):
        path = os.path.join(place, 'tenants', f'{prefix}{i}')
        os.makedirs(path)
        add(os.path.join(path, 'control'))


def main(place, victim):
    full, path = listen(place, 'full', 1)
    held = fill(path)
    add_names(place, 'full', NAMES, lambda name: os.link(path, name))
    add_names(place, 'link', LINKS, lambda name: os.symlink(victim, name))
    silent = [listen(place, f'silent{i}', 100)[0] for i in range(SILENT)]
    for i in range(NOTHING):
        os.makedirs(os.path.join(place, 'tenants', f'nothing{i}'))
    print('ready', flush=True)
    while True:
        for listener in silent:
            try:
                held.append(listener.accept()[0])
            except BlockingIOError:
                pass
        print(len(held), flush=True)
        time.sleep(1)


if __name__ == '__main__':
    main(*sys.argv[1:])
