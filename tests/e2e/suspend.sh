#!/bin/sh
# A tenant that is suspended has nothing of the GPU, and its neighbour all; resumed it is back at once. It stays
# suspended while the daemon is killed, and a supervisor that follows one that was killed takes it off again.
# timeout: 120
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

start_daemon
neighbour free -- --kernel-us 100 --trace "$TMP/free.trace"
tenant a -- --kernel-us 100 --warm-up 1 --seconds 3600 --trace "$TMP/trace" --trace-ms 20
state() { ps_get name=a.state; }
has_state() { [ "$(state)" = "$1" ]; }
supervisor() { ps_get name=a.supervisor_pid; }
has_other_supervisor() {
    other=$(supervisor)
    [ "$other" != missing ] && [ "$other" != null ] && [ "$other" != 0 ] && [ "$other" != "$1" ]
}
is_off_since() { is_at "$TMP/trace" -1 0.001 "$1"; }
# most_since NS: its greatest share of any 20 ms that began after that instant.
most_since() { awk -v at="$1" '$1 >= at && $2 > most { most = $2 } END { print most + 0 }' "$TMP/trace"; }
mean_since() { awk -v at="$1" '$1 >= at { sum += $2; n++ } END { print (n ? sum / n : 100) }' "$TMP/trace"; }
# A supervisor that the machine does not run for long enough counts as lost, and its tenant's channels come on until it
# is run again. So in the sanitized build no single window is judged, but the mean.
# had_nothing SENTENCE NS MOST: in no window since then; there at most that in the mean.
had_nothing() {
    if [ -z "${VGPU_TEST_SANITIZED:-}" ]; then
        is "$1" "$(most_since "$2")" 0
    else
        at_most "$1" "$(mean_since "$2")" "$3"
    fi
}
stays_off() {
    at=$(now_ns)
    sleep "$1"
    mean=$(mean_since "$at")
    [ "$(calc "$mean <= 2")" = 1 ]
}
# has_nothing SENTENCE SECONDS: for so long from now on, that is since $at; there for once of three times.
has_nothing() {
    up_to "$(bar 1 3)" stays_off "$2"
    if [ -z "${VGPU_TEST_SANITIZED:-}" ]; then
        had_nothing "$1" "$at"
    else
        at_most "$1" "$mean" 2
    fi
}
# turned_ms NS LEAST MOST: how long after the instant the first window of two in a row within these began.
turned_ms() {
    awk -v at="$1" -v least="$2" -v most="$3" '
        $1 >= at && $2 >= least && $2 <= most { if (since) { print (since - at) / 1e6; exit } since = $1; next }
        { since = 0 }' "$TMP/trace"
}
# has_turned NS LEAST MOST: there are two such windows by now; how long it took them is in $took.
has_turned() {
    took=$(turned_ms "$@")
    [ -n "$took" ]
}
# longer MS: the longer of it and $worst.
longer() { worst=$(awk -v a="$worst" -v b="${1:-9999}" 'BEGIN { print (a > b ? a : b) }'); }

ok "two tenants share the GPU" wait_for 10 is_at "$TMP/trace" 40 60
worst=0
back=0
rounds=$(full 50 5)
for round in $(seq "$rounds"); do
    at=$(now_ns)
    vgpu set a --suspend || fail "vgpu set --suspend"
    wait_for 5 has_turned "$at" 0 0
    longer "$took"
    back_worst=$worst
    worst=$back
    at=$(now_ns)
    vgpu set a --resume || fail "vgpu set --resume"
    wait_for 5 is_at "$TMP/trace" 40 60 "$at"
    wait_for 5 has_turned "$at" 30 70
    longer "$took"
    back=$worst
    worst=$back_worst
done
at_most "longest time of $rounds until a suspended tenant was off, ms (with the cost of the command)" "$worst" \
    "$(bar 100 5000)"
at_most "longest time until a resumed one was back, ms" "$back" "$(bar 100 5000)"

vgpu set a --suspend || fail "vgpu set --suspend"
ok "a suspended tenant is off" wait_for 5 is_off_since "$(now_ns)"
is "and called so" "$(state)" suspended
has_nothing "it has nothing" "$(full 10 2)"
at_least "what its neighbour has" \
    "$(awk -v at="$at" '$1 >= at { sum += $2; n++ } END { print (n ? sum / n : 0) }' "$TMP/free.trace")" "$(bar 95 60)"

# --- what is killed meanwhile ---

at=$(now_ns)
kill_daemon
sleep 0.5
start_daemon
ok "the next daemon knows" wait_for 5 has_state suspended
had_nothing "nothing was given to it meanwhile" "$at" 25

pid=$(supervisor)
kill -KILL "$pid"
ok "a supervisor that is killed has a successor" wait_for 5 has_other_supervisor "$pid"
ok "by whom the tenant is off again" wait_for 5 is_off_since "$(now_ns)"
is "and suspended" "$(state)" suspended
has_nothing "it has nothing from then on" "$(full 5 1)"

pid=$(supervisor)
kill -KILL "$pid"
kill_daemon
start_daemon
ok "with the daemon killed as well" wait_for 5 has_other_supervisor "$pid"
ok "it is off again" wait_for 5 is_off_since "$(now_ns)"
is "and still suspended" "$(state)" suspended

at=$(now_ns)
ok "it is resumed" vgpu set a --resume
ok "and has its part" wait_for 5 is_at "$TMP/trace" 40 60 "$at"
is "and is called running" "$(state)" running
end a
end free
done_testing
