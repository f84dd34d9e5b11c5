#!/usr/bin/env python3
"""Reads a pod's shared file by a description of its own: the layout as foreign limiters know it,
written down a second time in the words of `struct`. Prints what it found as one JSON line.

    v2_reader.py FILE
"""
import json
import struct
import sys

DEVICE = struct.Struct('<64sI4xQI4xQddddI4x')
TAIL = struct.Struct('<I4xQQ2048Q2048QQQ512s')
DEVICES = 16


def main():
    with open(sys.argv[1], 'r+b') as file:  # as limiters open it: for writing too
        content = file.read()
    assert len(content) == 35504, len(content)
    assert DEVICE.size == 136 and 8 + DEVICES * DEVICE.size + TAIL.size == len(content)
    tag, = struct.unpack_from('<I', content)
    devices = []
    for slot in range(DEVICES):
        (uuid, up_limit, limit, cores, used, rate, capacity, tokens, updated,
         active) = DEVICE.unpack_from(content, 8 + slot * DEVICE.size)
        if active:
            devices.append([slot, uuid.rstrip(b'\0').decode(), up_limit, limit, cores, used, rate,
                            capacity, tokens, updated])
    tail = TAIL.unpack_from(content, 8 + DEVICES * DEVICE.size)
    count, heartbeat, lock = tail[:3]
    slots, bitmap = tail[3:3 + 2048], tail[3 + 2048:3 + 4096]
    length, creator = tail[3 + 4096:3 + 4098]
    pids = [slots[i] for i in range(2048) if bitmap[i // 64] >> (63 - i % 64) & 1]
    assert length == len(pids), (length, pids)
    print(json.dumps({'tag': tag, 'devices': devices, 'count': count, 'heartbeat': heartbeat,
                      'lock': lock, 'pids': pids, 'creator': creator}, separators=(',', ':')))


main()
