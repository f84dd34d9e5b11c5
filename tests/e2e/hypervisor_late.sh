#!/bin/sh
# What the daemon shows itself in and cannot open (its log, the metrics file, the shared files) is a fault and no
# reason not to keep tenants: it is tried again.
# timeout: 90
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

export VGPU_RUNTIME_DIR="$TMP/run"
late=$TMP/late
start_daemon env VGPU_LOG=info TF_LOG_PATH="$late/log" GPU_METRICS_FILE="$late/usage" SHM_BASE_PATH="$late/shm"
ask() { curl -s --unix-socket "$VGPU_RUNTIME_DIR/api" "http://localhost$1"; }
faults() { ask /api/v1/node | json-get "faults.*.component" | sort | xargs; }
has_faults() { [ "$(faults)" = 'disk metrics shared-files' ]; }
has_none() { ask /healthz | grep -q '^ok'; }

ok "each is told of" wait_for 10 has_faults
ok "and makes /healthz unwell" sh -c '! "$@"' sh \
    curl -sf --unix-socket "$VGPU_RUNTIME_DIR/api" http://localhost/healthz
ok "the log goes to stderr" grep -q 'begins' "$TMP/daemon.log"
ok "tenants are kept" vgpu run --name a --memory 1GiB -- true
ok "metrics count the faults" sh -c 'curl -s --unix-socket "$1" http://localhost/metrics |
    grep -c "^vgpu_faults.*component=\"\(disk\|metrics\|shared-files\)\".* 1$" | grep -qx 3' sh "$VGPU_RUNTIME_DIR/api"
kill -HUP "$PID_daemon"
ok "a configuration is read again all the same" wait_for 5 grep -q 'was read again' "$TMP/daemon.log"

mkdir "$late"
ok "all are well once they can be opened" wait_for 30 has_none
ok "the log is in its file" wait_for 5 test -s "$late/log"
ok "usage lines are in theirs" wait_for 15 sh -c 'test -s "$1"/usage.*' sh "$late"
ok "and there is a directory for pods" test -d "$late/shm"
kill_daemon
done_testing
