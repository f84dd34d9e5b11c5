"""events_server SOCKET SCRIPT - a stand-in for the daemon's events, for events.sh.

Answers each connection by the next line of SCRIPT (a Python bytes literal), then hangs up; the
requests go to SOCKET.requests. Before the last answer it stops listening, so that who has that
answer finds the path free for the next one.
"""
import ast
import os
import socket
import sys

path, script = sys.argv[1:]
with open(script, encoding='ascii') as file:
    answers = [ast.literal_eval(line) for line in file if line.strip()]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path + '.new')
listener.listen()
os.rename(path + '.new', path)  # now that it listens: who finds it is answered
for number, answer in enumerate(answers):
    connection, _ = listener.accept()
    request = b''
    while b'\r\n\r\n' not in request:
        more = connection.recv(4096)
        if not more:
            break
        request += more
    with open(path + '.requests', 'ab') as file:
        file.write(request)
    if number + 1 == len(answers):
        listener.close()
        os.unlink(path)
    for begin in range(0, len(answer), 7):
        try:
            connection.sendall(answer[begin:begin + 7])
        except BrokenPipeError:
            break
    connection.close()
