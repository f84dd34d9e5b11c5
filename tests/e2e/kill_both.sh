#!/bin/sh
# Front and supervisor killed at the same random instant: the tenant's channels are on again within 200 ms,
# and once it is adopted its cap is back within a second.
# timeout: 120
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

is_uncapped() { tail -n 1 "$TMP/trace" | awk '{ ok = $2 > 90 } END { exit !ok }'; }
is_capped() { tail -n 1 "$TMP/trace" | awk '{ ok = $2 > 5 && $2 < 15 } END { exit !ok }'; }
now_ms() { date +%s%3N; }

rounds=$(full 100 6)
freed=0
back=0
worst=0
worst_pause=0
seed=1789
for round in $(seq "$rounds"); do
    # With a cap of 10 % the tenant is off nine times of ten.
    rm -f "$TMP/trace"
    tenant a --compute 10% -- --kernel-us 100 --warm-up 0.5 --seconds 3600 --trace "$TMP/trace"
    wait_for 10 is_capped
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    sleep "0.$(printf %03d $((seed / 65536 % 200)))"
    kill -KILL "$PID_a" "$(ps_get name=a.supervisor_pid)"
    wait_for 5 is_uncapped && freed=$((freed + 1))
    adopted=$(now_ms)
    vgpu run --adopt a && wait_for 5 is_capped && back=$((back + 1))
    took=$(($(now_ms) - adopted))
    [ "$took" -le "$worst" ] || worst=$took
    # The one that took it over has no front: nobody follows it.
    kill -KILL "$(ps_get name=a.supervisor_pid)"
    wait_for 5 is_uncapped && freed=$((freed + 1))
    burn=$(pgrep -f "vgpu burn .*--trace $TMP/trace")
    kill -TERM "$burn"
    wait_for 5 test -s "$TMP/a.out"
    worst_pause=$(awk -v a="$worst_pause" -v b="$(get "$TMP/a.out" longest_pause_ms)" \
        'BEGIN { print (b == "missing" || b > a ? b : a) }')
    wait_for 5 is_no_tenant a
done
is "each of $((2 * rounds)) times the channels came on again" "$freed" $((2 * rounds))
is "each time the tenant was adopted the cap came back" "$back" "$rounds"
at_most "longest time until it was back, ms" "$worst" 1000
at_most "longest time that a tenant stood still, ms" "$worst_pause" 200
ok "nothing is left of any" wait_for 5 has_no_folders
is "nor a process of the command's" "$(pgrep -f "vgpu burn .*$TMP" | wc -l)" 0 # run-tests finds others
done_testing
