#!/bin/sh
# What people ask of the daemon over HTTP costs its tenants nothing, and the daemon a bounded amount of memory.
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
resident_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$DAEMON/status"; }

# shellcheck disable=SC2086 # options are words
tenant a --compute 30% -- --kernel-us 100 $TOGETHER --seconds "$(full 12 6)"
# shellcheck disable=SC2086
tenant b -- --kernel-us 100 $TOGETHER --seconds "$(full 12 6)"
wait_for 10 is_busy a
before_kib=$(resident_kib)
python3 "$ROOT/tests/e2e/hypervisor_load.py" "$(port)" "$VGPU_RUNTIME_DIR/api" "$(full 100000 20000)" >"$TMP/load.json"
is "all requests of /healthz are answered with 200" "$(get "$TMP/load.json" good)" "$(full 100000 20000)"
measured "/healthz requests a second beside all that: $(get "$TMP/load.json" per_second)"
at_least "bytes of events for those that read" "$(get "$TMP/load.json" events_bytes)" 1000
at_most "what the daemon grew by, KiB" "$(calc "$(resident_kib) - $before_kib")" 20480
finish a
finish b
near "the share of the one with 30 %" "$(share a)" 30 1.5
at_least "sum of both" "$(calc "$(share a) + $(share b)")" 95
ok "it still answers" curl -fs --unix-socket "$VGPU_RUNTIME_DIR/api" http://localhost/healthz
kill -TERM "$DAEMON"
ok "and ends well" wait "$DAEMON"
done_testing
