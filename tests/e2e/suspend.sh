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
# turned_ms NS LEAST MOST: how long after the instant the first window of two in a row within these began.
turned_ms() {
    awk -v at="$1" -v least="$2" -v most="$3" '
        $1 >= at && $2 >= least && $2 <= most { if (since) { print (since - at) / 1e6; exit } since = $1; next }
        { since = 0 }' "$TMP/trace"
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
    wait_for 5 is_off_since "$at"
    sleep 0.2
    longer "$(turned_ms "$at" 0 0)"
    back_worst=$worst
    worst=$back
    at=$(now_ns)
    vgpu set a --resume || fail "vgpu set --resume"
    wait_for 5 is_at "$TMP/trace" 40 60 "$at"
    sleep 0.2
    longer "$(turned_ms "$at" 30 70)"
    back=$worst
    worst=$back_worst
done
at_most "longest time of $rounds until a suspended tenant was off, ms (with the cost of the command)" "$worst" 100
at_most "longest time until a resumed one was back, ms" "$back" 100

vgpu set a --suspend || fail "vgpu set --suspend"
ok "a suspended tenant is off" wait_for 5 is_off_since "$(now_ns)"
is "and called so" "$(state)" suspended
at=$(now_ns)
sleep "$(full 10 2)"
is "it has nothing" "$(most_since "$at")" 0
at_least "what its neighbour has" \
    "$(awk -v at="$at" '$1 >= at { sum += $2; n++ } END { print (n ? sum / n : 0) }' "$TMP/free.trace")" 95

# --- what is killed meanwhile ---

at=$(now_ns)
kill_daemon
sleep 0.5
start_daemon
ok "the next daemon knows" wait_for 5 has_state suspended
is "nothing was given to it meanwhile" "$(most_since "$at")" 0

pid=$(supervisor)
kill -KILL "$pid"
ok "a supervisor that is killed has a successor" wait_for 5 has_other_supervisor "$pid"
ok "by whom the tenant is off again" wait_for 5 is_off_since "$(now_ns)"
is "and suspended" "$(state)" suspended
at=$(now_ns)
sleep "$(full 5 1)"
is "it has nothing from then on" "$(most_since "$at")" 0

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
