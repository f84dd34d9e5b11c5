#!/usr/bin/env python3
"""false_front.py NAME PID... - makes a tenant as `vgpu run` does where a daemon is, says of each process in turn
that it is the command, and stays as its front until the connection to the supervisor ends."""
import os
import socket
import struct
import sys

from node_ask import CREATE, CREATED, message

WORD_READY, WORD_COMMAND = 1, 4


def main():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.settimeout(10)
    line.connect(os.path.join(os.environ['VGPU_RUNTIME_DIR'], 'control'))
    body = struct.pack('=64s6IQ4I', sys.argv[1].encode(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    socket.send_fds(line, [message(CREATE, body)], [theirs.fileno()])
    theirs.close()
    packet = line.recv(4096)
    kind, status = struct.unpack_from('=8xI4xi', packet)
    assert kind == CREATED and status == 0, packet
    assert struct.unpack_from('=i', ours.recv(4096))[0] == WORD_READY
    for pid in sys.argv[2:]:
        ours.send(struct.pack('=2i240s', WORD_COMMAND, int(pid), b''))
    print('ready', flush=True)
    while ours.recv(4096):
        pass


main()
