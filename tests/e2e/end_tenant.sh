#!/bin/sh
# A tenant is ended over its supervisor's socket: with processes only by force, whether they use a GPU or not.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

end() { python3 "$ROOT/tests/e2e/end_tenant.py" "$@"; }
is_no_tenant() { [ "$(ps_get "name=$1.state")" = missing ]; }
has_row() { [ "$(ps_get "name=$1.state")" = running ]; }

background_as a vgpu run --name a -- sh -c "sleep 60 >/dev/null 2>&1 & echo \$! >$TMP/sleep"
ok "a tenant whose command has ended" wait_for 10 test -s "$TMP/sleep"
wait "$PID_a"
ok "has a process that does not use a GPU" has_row a
is "it is not ended without force" "$(end a)" -16
ok "and its process lives" kill -0 "$(cat "$TMP/sleep")"
is "with force it is" "$(end a force)" 0
ok "and is gone" wait_for 10 is_no_tenant a
ok "with its process" wait_for 10 sh -c "! kill -0 $(cat "$TMP/sleep") 2>/dev/null"

# One that does not heed the first signal, and whose front never comes to see it.
background_as b vgpu run --name b -- sh -c 'trap "" TERM; exec sleep 60'
is_sleeping() { pgrep -P "$PID_b" -x sleep >"$TMP/sleep"; }
ok "another one" wait_for 10 is_sleeping
kill -STOP "$PID_b"
is "is ended by force" "$(end b force)" 0
ok "though it does not want to" wait_for 10 sh -c "! ls '$VGPU_RUNTIME_DIR/tenants' | grep -qx b"
kill -CONT "$PID_b"

# One that has nothing of its tenant's in its environment is known by its front alone.
background_as c vgpu run --name c -- env -i /bin/sh -c 'trap "" TERM; exec sleep 60'
is_sleeping() { pgrep -P "$PID_c" -x sleep >"$TMP/sleep"; }
ok "one with an empty environment" wait_for 10 is_sleeping
is "is ended by force" "$(end c force)" 0
ok "and is gone" wait_for 10 is_no_tenant c
ok "with its process" wait_for 10 sh -c "! kill -0 $(cat "$TMP/sleep") 2>/dev/null"
done_testing
