#!/bin/sh
# What befalls the front of `vgpu run` is not its command's: words that nobody reads, and a supervisor that cannot
# be started again at once.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

supervisor() { ps_get name=a.supervisor_pid; }
has_other_supervisor() {
    now=$(supervisor)
    [ "$now" != missing ] && [ "$now" != null ] && [ "$now" != "$1" ]
}

# --- nobody reads its stderr ---

cat >"$TMP/command" <<'END'
trap 'echo heard >"$1"' WINCH
echo ready >"$1.ready"
while :; do sleep 0.02; done
END
mkfifo "$TMP/words"
sh -c 'exec vgpu run --verbose --name a -- sh "$1" "$2" 2>"$3"' sh "$TMP/command" "$TMP/heard" "$TMP/words" &
PID_a=$!
PIDS="$PIDS $PID_a"
exec 3<"$TMP/words"
wait_for 10 is_tenant a
wait_for 10 test -s "$TMP/heard.ready"
exec 3<&-
first=$(supervisor)
kill -KILL "$first"
ok "a supervisor that is lost is followed by another" wait_for 10 has_other_supervisor "$first"
kill -WINCH "$PID_a"
ok "whose start nobody reads of, which does not end the command" wait_for 5 test -s "$TMP/heard"
kill -TERM "$PID_a"
wait "$PID_a" 2>/dev/null
is "it ends as its command" $? 143
forget_pid "$PID_a"
wait_for 5 is_no_tenant a

# --- no descriptors for another supervisor ---

background_as a vgpu run --name a -- sleep 3600
wait_for 10 is_tenant a
first=$(supervisor)
# Fewer numbers than it has open, and not fewer than it polls: the kernel refuses that.
prlimit --pid "$PID_a" --nofile=5:1024
kill -KILL "$first"
ok "a supervisor that cannot be started is told of" wait_for 10 grep -q 'tried again each second' "$TMP/a.err"
prlimit --pid "$PID_a" --nofile=1024:1024
ok "and is there when it can" wait_for 10 has_other_supervisor "$first"
is "it was told once" "$(wc -l <"$TMP/a.err")" 1
kill -TERM "$PID_a"
wait "$PID_a" 2>/dev/null
forget_pid "$PID_a"
ok "the tenant ends" wait_for 5 is_no_tenant a
done_testing
