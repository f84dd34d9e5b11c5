#!/bin/sh
# The powers of root that the service's unit leaves are all that the daemon needs for tenants of other users.
# timeout: 90
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

UNIT=$ROOT/deploy/systemd/vgpu-hypervisor.service
NOBODY='setpriv --reuid 65534 --regid 65534 --clear-groups --'
ask=$ROOT/tests/e2e/node_ask.py
export VGPU_RUNTIME_DIR="$TMP/run"
chmod 0711 "$TMP"
chmod 0711 "$(dirname "$VGPU_SIM_SOCKET")"
chmod 0666 "$VGPU_SIM_SOCKET"
# shellcheck disable=SC2086 # words
if [ "$(id -u)" != 0 ] || ! $NOBODY test -x "$VGPU_STAGE/bin/vgpu"; then
    skip "a daemon with the unit's powers: not root, or others cannot execute the build"
    done_testing
fi

powers=-all$(sed -n 's/^CapabilityBoundingSet=//p' "$UNIT" | tr 'A-Z ' 'a-z\n' | sed 's/^cap_/,+/' | tr -d '\n')
start_daemon setpriv --bounding-set "$powers" --no-new-privs
wanted=$(setpriv --bounding-set "$powers" grep CapBnd /proc/self/status)
is "the daemon has what the unit leaves and no more" "$(grep -x "$wanted" "/proc/$PID_daemon/status")" "$wanted"

# shellcheck disable=SC2086 # words
background_as n $NOBODY vgpu run --name n --memory 2GiB --compute 20% -- "$GUESTS/memory" hold 100000000
ok "another user gets a tenant" wait_for 10 grep -q ready "$TMP/n.out"
control=$VGPU_RUNTIME_DIR/tenants/n/control
is "whose socket is that user's" "$(stat -c %u "$control")" 65534

supervisor() { ps_get name=n.supervisor_pid; }
has_other_supervisor() {
    now=$(supervisor)
    [ "$now" != missing ] && [ "$now" != null ] && [ "$now" != "$1" ]
}
for round in 1 2 3; do
    pid=$(supervisor)
    # One that is stopped is one that the daemon has to kill.
    signal=KILL
    [ "$round" != 2 ] || signal=STOP
    kill -"$signal" "$pid"
    ok "round $round: its supervisor is replaced (SIG$signal)" wait_for 5 has_other_supervisor "$pid"
done
is "the socket is that user's still" "$(stat -c %u "$control")" 65534
ok "its process is known to the new supervisor" wait_for 5 sh -c \
    'vgpu ps --json | json-get name=n.processes.0.memory_bytes | grep -q "^[1-9]"'
# shellcheck disable=SC2086 # words
ok "the user is answered there" $NOBODY /usr/bin/python3 "$ask" --to "$control" status
ok "limits are changed" vgpu set n --compute 30%

kill_daemon
start_daemon setpriv --bounding-set "$powers" --no-new-privs
ok "the next daemon takes it over" wait_for 5 is_tenant n
ok "and ends it where that is asked for" "$ask" end n force
ok "with its process" wait_for 5 is_no_tenant n
ok "which is another user's" wait_for 5 is_gone "$PID_n"
kill_daemon
done_testing
