#!/bin/sh
# Eight busy tenants of a daemon on two GPUs, with and without caps, of various weights and priorities, that join,
# leave and are changed at random: from a second after each change on, each gets what it is entitled to.
# timeout: 150
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator --gpus 2 "$@"

start_daemon
calibrate --kernel-us 100
mkdir "$TMP/traces"
cp "$TMP/rate.100" "$TMP/traces/rate"
python3 "$ROOT/tests/e2e/hypervisor_random.py" "$TMP/traces" "$(full 600 60)" 20240917 >"$TMP/play" 2>"$TMP/play.err"
is "the play ends well" "$?$(cat "$TMP/play.err")" 0
grep '^#' "$TMP/play"
tail -n 1 "$TMP/play" >"$TMP/figures"
figure() { get "$TMP/figures" "$1"; }
measured "$(figure changes) changes, $(figure judged) shares of 5 s"
at_least "shares that were judged" "$(figure judged)" "$(full 300 30)"
at_most "the worst of them, points off its entitlement" "$(figure worst)" 2
at_least "all tenants of a GPU together, the least, %" "$(figure least_sum)" 93
at_least "the same where one of them is low: its turns cost switches" "$(figure least_sum_low)" 85
at_most "the longest time in which one got nothing, s" "$(figure pause_s)" 1
is "each change was made" "$(figure failures)" 0
is "nothing is left of any" "$(ls "$VGPU_RUNTIME_DIR/tenants")" ''
kill_daemon
done_testing
