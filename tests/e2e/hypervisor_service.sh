#!/bin/sh
# The daemon as a service: what it tells its manager, its log, reading the configuration again, its end.
# shellcheck disable=SC2154 # background_as sets PID_daemon
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

F=$TMP/f.yaml
L=$TMP/log
M=$TMP/manager
export VGPU_RUNTIME_DIR="$TMP/run"

# A service manager's end of the socket: a line for each thing that is told, WATCHDOG=1 once.
cat >"$TMP/manager.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
seen = False
while True:
    text = s.recv(4096).decode()
    if text == 'WATCHDOG=1\n' and seen:
        continue
    seen = seen or text == 'WATCHDOG=1\n'
    sys.stdout.write(text)
    sys.stdout.flush()
END
background_as manager python3 "$TMP/manager.py" "$M"
wait_for 10 test -S "$M"

cat >"$F" <<END
log_file: $L
log_format: json
api_listen_addr: ""
END
told() { grep -c "$1" "$TMP/manager.out"; }
was_told() { [ "$(told "$1")" -ge "$2" ]; }
in_log() { grep -q -e "$1" "$L"; }

NOTIFY_SOCKET=$M WATCHDOG_USEC=300000 background_as daemon vgpu-hypervisor --config "$F"
ok "the manager is told when it is ready" wait_for 10 was_told '^READY=1$' 1
is "with how many GPUs and tenants there are" "$(grep STATUS "$TMP/manager.out")" "STATUS=1 GPUs, 0 tenants"
ok "the watchdog is fed" wait_for 10 was_told '^WATCHDOG=1$' 1
ok "each line of the log is an object with time, level, component and message" python3 - "$L" <<'END'
import json, re, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert lines
for line in lines:
    assert list(line) == ['time', 'level', 'component', 'message'], line
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', line['time']), line
assert any(line['component'] == 'daemon' and 'begins' in line['message'] for line in lines)
END

echo 'log_level: debug,daemon=info' >>"$F"
kill -HUP "$PID_daemon"
ok "SIGHUP reads the configuration again" wait_for 10 in_log 'read again from'
ok "and says so to the manager" wait_for 10 was_told '^READY=1$' 2
is "between RELOADING and READY, with the time" "$(told '^RELOADING=1$') $(told '^MONOTONIC_USEC=[0-9]*$')" "1 1"

cp "$F" "$TMP/good.yaml"
echo 'queue_secnds: 1' >>"$F"
kill -HUP "$PID_daemon"
ok "a bad one is refused with its place, and the nearest key" wait_for 10 in_log \
    "stays as it was: $F:5:1: there is no option 'queue_secnds'; is 'queue_seconds' meant"
ok "the daemon goes on" wait_for 10 was_told '^READY=1$' 3
cp "$TMP/good.yaml" "$F"

# --- vgpu reload ---

vgpu reload >"$TMP/out" 2>"$TMP/err"
is "vgpu reload does the same, and says nothing" "$? $(cat "$TMP/out" "$TMP/err")" "0 "
ok "the manager is told again" wait_for 10 was_told '^READY=1$' 4
printf 'queue_secnds: 1\n' >>"$F"
vgpu reload >"$TMP/out" 2>"$TMP/err"
is "a bad configuration is refused to who asked, with its place" "$? $(cat "$TMP/out" "$TMP/err")" \
    "1 vgpu: reload: $F:5:1: there is no option 'queue_secnds'; is 'queue_seconds' meant?"
cp "$TMP/good.yaml" "$F"
ok "the daemon goes on, and takes a good one" vgpu reload
if [ "$(id -u)" = 0 ] && setpriv --reuid 65534 --regid 65534 --clear-groups -- test -x "$VGPU_STAGE/bin/vgpu"; then
    chmod 0711 "$TMP"
    setpriv --reuid 65534 --regid 65534 --clear-groups -- vgpu reload >"$TMP/out" 2>"$TMP/err"
    is "another user may not" "$? $(wc -l <"$TMP/err") $(grep -c '^vgpu: reload: ' "$TMP/err")" "1 1 1"
else
    skip "another user may not"
fi

mv "$L" "$L.moved"
kill -HUP "$PID_daemon"
ok "a log that somebody moved is begun anew" wait_for 10 test -s "$L"

kill -TERM "$PID_daemon"
wait "$PID_daemon"
is "SIGTERM ends it with success" "$?" 0
vgpu reload >"$TMP/out" 2>"$TMP/err"
is "without a daemon vgpu reload fails" "$? $(cat "$TMP/out" "$TMP/err")" \
    "1 vgpu: reload: there is no daemon (vgpu-hypervisor) on this machine"
is "nothing was said on its stderr" "$(cat "$TMP/daemon.err")" ""
ok "the manager is told that it stops" wait_for 10 was_told '^STOPPING=1$' 1

background_as daemon vgpu-hypervisor --config "$F" --runtime-dir "$TMP/other" --log-file ""
wait_for 10 test -S "$TMP/other/control"
kill -INT "$PID_daemon"
wait "$PID_daemon"
is "without a manager it works too, wherever it is told to" "$?" 0
ok "and logs to stderr" grep -q '"message":"vgpu-hypervisor .* begins"' "$TMP/daemon.err"

# Names beside the node's own, by which a scraper knows it.
background_as named vgpu-hypervisor --runtime-dir "$TMP/named" --api-listen-addr 127.0.0.1:0 \
    --node-name node-a --api-host-names 'node-a.example, b'
wait_for 10 grep -q 'HTTP on .* port' "$TMP/named.err"
port=$(sed -n 's/.*HTTP on .* port \([0-9]*\).*/\1/p' "$TMP/named.err")
status() { curl -s -o "$TMP/body" -w '%{http_code}' -H "Host: $1" "http://127.0.0.1:$port/healthz"; }
is "HTTP is answered under the names that are configured, and no other" \
    "$(status node-a) $(status "node-a.example:$port") $(status b) $(status c)" "200 200 200 421"
kill -TERM "$PID_named"
wait "$PID_named"

# --- one daemon a directory ---

one=$TMP/one
serves() { VGPU_RUNTIME_DIR=$one "$ROOT/tests/e2e/node_ask.py" list >/dev/null; }
refusal="another daemon serves '$one/control'"
for i in 1 2 3 4 5 6; do
    background_as "one$i" vgpu-hypervisor --runtime-dir "$one" --api-listen-addr ''
done
ok "of six that start at the same instant" wait_for 10 serves
ended() {
    end_count=0
    for pid in $PID_one1 $PID_one2 $PID_one3 $PID_one4 $PID_one5 $PID_one6; do
        is_ended "$pid" && end_count=$((end_count + 1))
    done
    [ "$end_count" -ge 5 ]
}
is_ended() { [ "$(cut -d ' ' -f 3 "/proc/$1/stat" 2>/dev/null || echo Z)" = Z ]; } # a child of this shell's
ok "five end" wait_for 10 ended
is "and one stays" "$end_count" 5
is "each of the others says why" "$(cat "$TMP"/one?.err | grep -c "$refusal")" 5
ok "which serves" serves
vgpu-hypervisor --runtime-dir "$one" --api-listen-addr '' >"$TMP/out" 2>"$TMP/err"
is "one that comes later is refused" "$? $(grep -c "$refusal" "$TMP/err")" "1 1"

# As if another were at this point of its start.
flock "$TMP/other/daemon.lock" vgpu-hypervisor --runtime-dir "$TMP/other" --api-listen-addr '' 2>"$TMP/err"
is "nor do two that have found nobody both go on" "$? $(grep -c "another daemon serves" "$TMP/err")" "1 1"
done_testing
