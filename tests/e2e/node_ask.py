#!/usr/bin/env python3
"""Speaks to the daemon over its control socket, as `vgpu` does and as somebody else might.

    node_ask.py list                the tenants it knows, one name a line
    node_ask.py status NAME         one line of JSON
    node_ask.py explain NAME        the first GPU's cap in force and entitlement, as JSON
    node_ask.py cap NAME PERCENT    changes a cap
    node_ask.py end NAME [force]    ends it
    node_ask.py keep NAME CAP       makes a tenant that stays without processes
    node_ask.py --to PATH ...       speaks to that socket instead: a supervisor's own

The words of a refusal come on stderr, with status 1. The layouts are those of ipc/message.h.
"""
import json
import os
import socket
import struct
import sys

MAGIC, VERSION = 0x76677075, 2
NO_LIMIT = 2 ** 64 - 1
(STATUS, STATUS_TENANT, STATUS_PROCESS, STATUS_GPU, SET, REPLY, EXPLAIN, EXPLAINED, WATCH, END, LIST,
 NAME, SELECT, CREATE, CREATED, RELOAD) = range(11, 27)
SET_COMPUTE = 2
ANSWER_S = 5


class Refused(Exception):
    """A reply with a status below zero."""


def text_of(field):
    return field.split(b'\0', 1)[0].decode()


def message(kind, body=b''):
    return struct.pack('=4I', MAGIC, VERSION, kind, 16 + len(body)) + body


class Node:
    """A connection to a control socket."""

    def __init__(self, path=None):
        path = path or os.path.join(os.environ['VGPU_RUNTIME_DIR'], 'control')
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(ANSWER_S)
        self.socket.connect(path)

    def close(self):
        self.socket.close()

    def ask(self, kind, body=b''):
        """Sends a message, yields what comes before the reply, and raises where that refuses."""
        self.socket.send(message(kind, body))
        while True:
            packet = self.socket.recv(4096)
            if not packet:
                raise Refused('the connection has ended')
            kind = struct.unpack_from('=4I', packet)[2]
            if kind == REPLY:
                status, words = struct.unpack_from('=i240s', packet, 16)
                if status < 0:
                    raise Refused(text_of(words))
                return
            yield kind, packet[16:]
            if kind == CREATED:
                return

    def do(self, kind, body=b''):
        return list(self.ask(kind, body))

    def select(self, name):
        self.do(SELECT, struct.pack('=64s', name.encode()))

    def names(self):
        return [text_of(body[:64]) for _, body in self.ask(LIST)]

    def status(self):
        shown = {'gpus': [], 'processes': []}
        for kind, body in self.ask(STATUS):
            if kind == STATUS_TENANT:
                name, pid, engine, state = struct.unpack_from('=64si2I', body)
                shown.update(name=text_of(name), supervisor_pid=pid, state=state)
            elif kind == STATUS_PROCESS:
                shown['processes'].append(struct.unpack_from('=i', body)[0])
            elif kind == STATUS_GPU:
                index, weight, priority, _ = struct.unpack_from('=4I', body, 48)
                limit, used, _, cap, share = struct.unpack_from('=5Q', body, 64)
                shown['gpus'].append({'index': index, 'weight': weight, 'priority': priority,
                                      'memory_limit_bytes': limit, 'memory_used_bytes': used,
                                      'cap_percent': cap / 1000,
                                      'used_percent': None if share == NO_LIMIT else share / 1000})
        return shown

    def explain(self):
        for _, body in self.do(EXPLAIN)[:1]:
            values = struct.unpack_from('=14I', body, 48)
            return {'index': values[0], 'cap_percent': values[8] / 1000,
                    'cap_in_force_percent': values[11] / 1000,
                    'entitled_percent': values[12] / 1000}
        return {}

    def set_cap(self, percent):
        self.do(SET, struct.pack('=2IQ5I4x', SET_COMPUTE, 0xffffffff, 0, 0, int(percent * 1000),
                                 0, 0, 0))

    def end(self, is_forced=False):
        self.do(END, struct.pack('=2I', int(is_forced), 0))

    def keep(self, name, cap_percent):
        body = struct.pack('=64s6IQ4I', name.encode(), 0, 0, 1, 0, SET_COMPUTE, 0, 0,
                           int(cap_percent * 1000), 0, 0, 0)
        for _, answer in self.ask(CREATE, body):
            status, = struct.unpack_from('=i', answer)
            if status < 0:
                raise Refused(text_of(answer[16 + 64 + 112 + 16 * 48:]))
            return text_of(answer[16:80])


def run(words):
    path = None
    if words[0] == '--to':
        path, words = words[1], words[2:]
    node = Node(path)
    command, rest = words[0], words[1:]
    if command == 'list':
        print('\n'.join(node.names()))
        return
    if command == 'keep':
        print(node.keep(rest[0], float(rest[1])))
        return
    if not path:
        node.select(rest[0])
    if command == 'status':
        print(json.dumps(node.status()))
    elif command == 'explain':
        print(json.dumps(node.explain()))
    elif command == 'cap':
        node.set_cap(float(rest[-1]))
    elif command == 'end':
        node.end('force' in rest)
    else:
        sys.exit(f'node_ask: no such command: {command}')


if __name__ == '__main__':
    try:
        run(sys.argv[1:])
    except (Refused, OSError) as error:
        sys.exit(f'node_ask: {error}')
