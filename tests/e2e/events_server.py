"""events_server SOCKET SCRIPT - a stand-in for the daemon's events, for events.sh.

Answers each connection by the next line of SCRIPT (a Python bytes literal), then hangs up; the
requests go to SOCKET.requests. After the last line it stops listening and ends.
"""
import ast
import os
import socket
import sys

path, script = sys.argv[1:]
with open(script, encoding='ascii') as file:
    answers = [ast.literal_eval(line) for line in file if line.strip()]
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path)
listener.listen()
for answer in answers:
    connection, _ = listener.accept()
    request = b''
    while b'\r\n\r\n' not in request:
        more = connection.recv(4096)
        if not more:
            break
        request += more
    with open(path + '.requests', 'ab') as file:
        file.write(request)
    for begin in range(0, len(answer), 7):
        try:
            connection.sendall(answer[begin:begin + 7])
        except BrokenPipeError:
            break
    connection.close()
listener.close()
os.unlink(path)
