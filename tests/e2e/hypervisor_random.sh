#!/bin/sh
# Eight busy tenants of a daemon on two GPUs, with and without caps, of various weights and priorities, that join,
# leave and are changed at random: from half a second after each change on, each gets what it is entitled to.
# timeout: 150
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator --gpus 2 "$@"

start_daemon
calibrate --kernel-us 100
# play SEED: a random life of so many seconds.
play() {
    mkdir "$TMP/traces$1"
    cp "$TMP/rate.100" "$TMP/traces$1/rate"
    python3 "$ROOT/tests/e2e/hypervisor_random.py" "$TMP/traces$1" "$(full 300 60)" "$1" >"$TMP/play" 2>"$TMP/play.err"
    is "seed $1: the play ends well" "$?$(cat "$TMP/play.err")" 0
    grep '^#' "$TMP/play"
    tail -n 1 "$TMP/play" >"$TMP/figures"
    measured "seed $1: $(figure changes) changes, $(figure judged) shares of 5 s"
    at_least "seed $1: shares that were judged" "$(figure judged)" "$(full 3500 700)"
    at_most "seed $1: the worst of them, points off its entitlement" "$(figure worst)" 2
    # Where there are high ones short turns cost more: how much more depends on how many there are.
    measured "seed $1: all tenants of a GPU together, the least beside a high one, %: $(figure least.high)"
    at_most "seed $1: the worst of those, points below what their switches leave" "$(figure short)" 2
    [ "$(figure least.capped_high)" = missing ] ||
        at_least "seed $1: the same where the high one has a cap" "$(figure least.capped_high)" 70
    at_least "seed $1: the same without a high one and a low one" "$(figure least.normal)" 95
    at_least "seed $1: the same beside a low one" "$(figure least.low)" 90
    at_most "seed $1: the longest time in which one got nothing, s" "$(figure pause_s)" 1
    is "seed $1: each change was made" "$(figure failures)" 0
    ok "seed $1: nothing is left of any" wait_for 5 has_no_folders
}
figure() { get "$TMP/figures" "$1"; }
for seed in $(full '20240917 7 31' 20240917); do
    play "$seed"
done
kill_daemon
done_testing
