#!/bin/sh
# A supervisor that is killed or stopped at a random instant is replaced: its tenant never stands still for
# 200 ms, and its cap is back within a second.
# timeout: 150
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

rounds=$(full 300 12)
neighbour free -- --kernel-us 100
tenant a --compute 30% -- --kernel-us 100 --warm-up 1 --seconds 3600 --trace "$TMP/trace"
ok "both tenants are there" wait_for 10 is_busy a

supervisor() { ps_get name=a.supervisor_pid; }
has_other_supervisor() {
    now=$(supervisor)
    [ "$now" != missing ] && [ "$now" != null ] && [ "$now" != "$1" ]
}
# capped_since NS: the newest of the tenant's 100 ms windows is after that instant, and at its cap.
capped_since() { is_at "$TMP/trace" 25 35 "$1"; }
now_ms() { date +%s%3N; }

ok "the cap holds at first" wait_for 10 capped_since 0
replaced=0
capped=0
worst=0
seed=4711
for round in $(seq "$rounds"); do
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    sleep "0.$(printf %03d $((seed / 65536 % 300)))"
    pid=$(supervisor)
    signal=KILL
    [ $((round % 2)) = 1 ] || signal=STOP
    hit=$(now_ms)
    since=$(now_ns)
    kill -"$signal" "$pid"
    wait_for 5 has_other_supervisor "$pid" && replaced=$((replaced + 1))
    wait_for 5 capped_since "$since" && capped=$((capped + 1))
    took=$(($(now_ms) - hit))
    [ "$took" -le "$worst" ] || worst=$took
done
is "each of $rounds supervisors that was killed or stopped was replaced" "$replaced" "$rounds"
is "and each time the cap came back" "$capped" "$rounds"
at_most "longest time until the cap was back, ms" "$worst" 1000
end a
finish a
at_most "longest time that the tenant stood still, ms" "$(get "$TMP/a.out" longest_pause_ms)" 200
end free
done_testing
