#!/bin/sh
# What a front says of its command is a front's word: who is not its child is not ended with the tenant, and keeps
# nothing alive.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

ask="$ROOT/tests/e2e/node_ask.py"
export VGPU_RUNTIME_DIR="$TMP/run"
mkdir -m 700 "$VGPU_RUNTIME_DIR"
start_daemon
knows_not() { ! "$ask" list | grep -qx "$1"; }
is_ready() { grep -q ready "$TMP/$1.out"; }

background sleep 3600
stranger=$PID
background_as front python3 "$ROOT/tests/e2e/false_front.py" a 1 2 "$stranger" "$stranger"
ok "a front that calls others its command" wait_for 10 is_ready front
ok "its tenant is ended by force" "$ask" end a force
ok "and does not wait for them" wait_for 10 knows_not a
ok "who live" kill -0 "$stranger"

# With one that has ended there is no command either.
gone=$(sh -c 'echo $$')
background_as late python3 "$ROOT/tests/e2e/false_front.py" b "$gone" "$stranger"
ok "the tenant of a command that has ended" wait_for 10 is_ready late
ok "ends by itself" wait_for 10 knows_not b
ok "and nobody with it" kill -0 "$stranger"
done_testing
