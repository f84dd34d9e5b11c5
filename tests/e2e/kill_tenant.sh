#!/bin/sh
# A tenant that is killed with SIGKILL at a random instant leaves no memory behind, and its neighbour gets
# its right share back.
# timeout: 120
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

rounds=$(full 300 15)
neighbour other --compute 40% -- --kernel-us 100 --trace "$TMP/trace"
ok "the other tenant is there" wait_for 10 is_busy other

victim_has_memory() {
    bytes=$(ps_get "name=victim.gpus.0.memory_used_bytes")
    [ "$bytes" != missing ] && [ "$bytes" != null ] && [ "$bytes" -gt 1000000000 ]
}
other_is_right() { is_at "$TMP/trace" 36 44 "$since"; }

worst=0
failures=0
seed=20260
for round in $(seq "$rounds"); do
    tenant victim --memory 4GiB --compute 30% -- --kernel-us 100 --memory 2GiB --seconds 3600
    wait_for 10 victim_has_memory || failures=$((failures + 1))
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    sleep "0.$(printf %03d $((seed / 65536 % 200)))"
    since=$(now_ns)
    took=$("$GUESTS/memory" kill "$(ps_get name=victim.processes.0.pid)") || failures=$((failures + 1))
    worst=$(awk -v a="$worst" -v b="${took:-9999}" 'BEGIN { print (a > b ? a : b) }')
    wait_for 5 is_no_tenant victim || failures=$((failures + 1))
    wait_for 1 other_is_right || failures=$((failures + 1))
done
is "each of $rounds killed tenants came up and went, the other's share was right within 1 s" "$failures" 0
at_most "longest time until a killed tenant's memory was free, ms" "$worst" 100
end other
done_testing
