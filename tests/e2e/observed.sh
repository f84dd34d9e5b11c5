#!/bin/sh
# Another user's `vgpu run` without the daemon is shown beside the daemon's tenants as name@uid, and changed by nobody;
# a directory of another user's that is made to cost the daemon dear costs it nothing.
# timeout: 120
. "$(dirname "$0")/lib.sh"
on_simulator --gpus 1 "$@"

ask="$ROOT/tests/e2e/node_ask.py"
export VGPU_RUNTIME_DIR="$TMP/run"
NOBODY='setpriv --reuid 65534 --regid 65534 --clear-groups --'
HOSTILE='setpriv --reuid 65533 --regid 65533 --clear-groups --'
# shellcheck disable=SC2086 # words
as_nobody() { $NOBODY "$@"; }
chmod 0711 "$TMP" "$(dirname "$VGPU_SIM_SOCKET")"
chmod 0666 "$VGPU_SIM_SOCKET"
if [ "$(id -u)" != 0 ] || ! as_nobody test -x "$VGPU_STAGE/bin/vgpu" || [ ! -x /usr/bin/python3 ]; then
    skip "another user's tenants"
    done_testing
fi
background_as daemon vgpu-hypervisor --api-listen-addr '' --standalone-directories "$TMP/of-*"
wait_for 10 daemon_answers
api() {
    api_path=$1
    shift
    curl -s -m 5 --unix-socket "$TMP/run/api" "$@" "http://d/api/v1/$api_path"
}
shown() { api tenants >"$TMP/tenants" && [ "$(get "$TMP/tenants" "tenants.name=$1.state")" = running ]; }
code() { api "$@" -o "$TMP/out" -w '%{http_code}'; }
is_listed() { "$ask" list | grep -qx "$1"; }

# --- a tenant ---

mkdir "$TMP/of-nobody" "$TMP/of-hostile"
chown 65534 "$TMP/of-nobody"
chown 65533 "$TMP/of-hostile"
chmod 0700 "$TMP/of-nobody" "$TMP/of-hostile"
# shellcheck disable=SC2086 # words
background_as mine env VGPU_RUNTIME_DIR="$TMP/of-nobody" $NOBODY vgpu run --name mine --memory 2GiB -- \
    "$GUESTS/memory" hold 100000000
wait_for 10 grep -q ready "$TMP/mine.out"
ok "it is in the API" wait_for 10 shown mine@65534
is "as its user's" "$(get "$TMP/tenants" tenants.name=mine@65534.uid)" 65534
is "and standalone" "$(get "$TMP/tenants" tenants.name=mine@65534.is_standalone)" true
is "vgpu ps shows it" "$(ps_get name=mine@65534.gpus.0.memory_limit_bytes)" 2147483648
is "with its process" "$(ps_get 'name=mine@65534.processes.#')" 1
ok "whose memory is known" test "$(ps_get name=mine@65534.gpus.0.memory_used_bytes)" -ge 100000000
is "nothing is reserved for it" "$(api gpus | json-get gpus.0.memory_reserved_bytes)" 0
is "its process is no stranger" "$(api node | json-get 'foreign.#')" 0
is_refused() { ! "$@"; }
ok "its limits are not changed" is_refused vgpu set mine@65534 --memory 1GiB
ok "nor by the API" test "$(code tenants/mine@65534 -X PATCH -H 'Content-Type: application/json' -d '{"compute":10}')" -ge 400
ok "it is not deleted" test "$(code 'tenants/mine@65534?force=true' -X DELETE)" -ge 400
ok "nor by the socket" is_refused "$ask" end mine@65534 force
is "it is as it was" "$(ps_get name=mine@65534.gpus.0.memory_limit_bytes)" 2147483648
VGPU_RUNTIME_DIR="$TMP/run" as_nobody "$VGPU_STAGE/bin/vgpu" ps --json >"$TMP/ps" 2>"$TMP/err"
is "who it belongs to is not told of it a second time" "$(get "$TMP/ps" name=mine@65534.name)" missing

# --- a hostile directory ---

background_as victim vgpu run --name victim -- sleep 3600
wait_for 10 is_tenant victim
# shellcheck disable=SC2086 # words
background_as hostile $HOSTILE /usr/bin/python3 "$ROOT/tests/e2e/hostile_places.py" "$TMP/of-hostile" "$TMP/run/tenants/victim/control"
wait_for 10 grep -q ready "$TMP/hostile.out"
ok "it is looked at" wait_for 10 grep -qE '^[0-9]+$' "$TMP/hostile.out"
ticks() { awk '{ print $14 + $15 }' "/proc/$PID_daemon/stat"; }
first_ticks=$(ticks)
slowest_ms=0
for _ in $(seq 100); do
    before=$(date +%s%N)
    "$ask" list >"$TMP/list" || fail "the daemon answers"
    took_ms=$((($(date +%s%N) - before) / 1000000))
    [ "$took_ms" -le "$slowest_ms" ] || slowest_ms=$took_ms
done
at_most "the slowest of 100 answers beside it, in ms" "$slowest_ms" 2000
measured "the daemon's ticks meanwhile: $(($(ticks) - first_ticks))"
ok "the other user's is still shown" shown mine@65534
is "the victim's supervisor answers" "$(ps_get name=victim.name)" victim
is "nobody else is called the victim" "$(grep -c @65533 "$TMP/list")" 0
is "the daemon is well" "$(curl -s -m 5 -o "$TMP/out" -w '%{http_code}' --unix-socket "$TMP/run/api" http://d/healthz)" 200

# --- the end ---

for pid in "$PID_mine" "$PID_victim" "$PID_hostile"; do
    kill -TERM "$pid"
    wait "$pid" 2>"$TMP/err"
    forget_pid "$pid"
done
is_no_longer_shown() { api tenants >"$TMP/tenants" && [ "$(get "$TMP/tenants" tenants.name=mine@65534.name)" = missing ]; }
ok "it is gone when it ends" wait_for 10 is_no_longer_shown
is_free() { ! is_listed victim; }
ok "and so is the victim" wait_for 10 is_free
kill -TERM "$PID_daemon"
ok "the daemon ends well" wait "$PID_daemon"
forget_pid "$PID_daemon"
done_testing
