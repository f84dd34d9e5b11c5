#!/usr/bin/env python3
"""end_tenant.py NAME [force] - asks a tenant's supervisor for its end; prints the status of its reply."""
import os
import socket
import struct
import sys

MAGIC, VERSION, END, REPLY = 0x76677075, 2, 20, 16


def main():
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.settimeout(10)
    line.connect(os.path.join(os.environ['VGPU_RUNTIME_DIR'], 'tenants', sys.argv[1], 'control'))
    line.send(struct.pack('=6I', MAGIC, VERSION, END, 24, len(sys.argv) > 2, 0))
    packet = line.recv(4096)
    kind, status = struct.unpack_from('=8xI4xi', packet)
    assert kind == REPLY, kind
    print(status)


main()
