#!/bin/sh
# What people ask of the daemon over HTTP costs its tenants nothing, and the daemon a bounded amount of memory: at
# least 10,000 requests of /healthz a second, a hundred readers of events, some that never read, and a thousand slow
# connections, from before the tenants begin until after they have ended.
# timeout: 90
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator "$@"

calibrate --kernel-us 100
vgpu-hypervisor --api-listen-addr 127.0.0.1:0 2>"$TMP/daemon.log" &
DAEMON=$!
PIDS="$PIDS $DAEMON"
port() { sed -n 's/.*HTTP on .* port \([0-9]*\)$/\1/p' "$TMP/daemon.log"; }
has_port() { [ -n "$(port)" ] && [ -S "$VGPU_RUNTIME_DIR/api" ]; }
wait_for 10 has_port
memory_kib() { awk -v what="$1" '$1 == what ":" { print $2 }' "/proc/$DAEMON/status"; }
before_kib=$(memory_kib VmRSS)

background_as load python3 "$ROOT/tests/e2e/hypervisor_load.py" "$(port)" "$VGPU_RUNTIME_DIR/api" "$(full 60 30)"
ok "all of the load runs" wait_for 15 grep -q ready "$TMP/load.out"
seconds=$(full 12 6)
# shellcheck disable=SC2086 # options are words
tenant a --compute 30% -- --kernel-us 100 $TOGETHER --seconds "$seconds"
# shellcheck disable=SC2086
tenant b -- --kernel-us 100 $TOGETHER --seconds "$seconds"
finish a
finish b
ok "the load outlasts them" kill -TERM "$PID_load"
wait "$PID_load"
is "and ends well" "$?$(cat "$TMP/load.err")" 0
forget_pid "$PID_load"
sed 1d "$TMP/load.out" >"$TMP/load.json"
load() { get "$TMP/load.json" "$1"; }
is "it ran until it was ended" "$(load was_asked_to_end)" true
at_least "/healthz requests a second, all that time" "$(load per_second)" 10000
is "all of them are answered with 200" "$(load good)" "$(load answered)"
# There is a new one each second.
at_least "samples that each reader of events got, a second" "$(calc "$(load least_samples) / $(load seconds)")" 0.8
# The bound of one address: docs/design/http.md.
is "of a thousand slow connections so many are held, the least" "$(load slow_held_least)" 256
is "and the most" "$(load slow_held_most)" 256
at_most "what the daemon grew by at most, KiB" "$(calc "$(memory_kib VmHWM) - $before_kib")" 20480
near "the share of the one with 30 %" "$(share a)" 30 1.5
at_least "sum of both" "$(calc "$(share a) + $(share b)")" 95
ok "it still answers" curl -fs --unix-socket "$VGPU_RUNTIME_DIR/api" http://localhost/healthz
kill -TERM "$DAEMON"
ok "and ends well" wait "$DAEMON"
done_testing
