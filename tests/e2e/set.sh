#!/bin/sh
# A cap that is changed with `vgpu set` while the tenant runs beside a busy neighbour is in force at once. With
# VGPU_TEST_DAEMON=1 by a daemon, whose HTTP API changes it as well (hypervisor_set.sh).
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

neighbour free -- --kernel-us 100
tenant a --compute 20% -- --kernel-us 100 --warm-up 1 --seconds 3600 \
    --trace "$TMP/trace" --trace-ms 20
is_near() { is_at "$TMP/trace" $(($1 - 4)) $(($1 + 4)); }
ok "the first cap holds" wait_for 10 is_near 20

# by_command CAP, by_request CAP: how a cap is changed.
by_command() { vgpu set a --compute "$1%"; }
by_request() {
    curl -fs -o "$TMP/answer" --unix-socket "$VGPU_RUNTIME_DIR/api" -X PATCH -H 'Content-Type: application/json' \
        -d "{\"compute\": $1}" http://localhost/api/v1/tenants/a
}
has_settled() {
    took=$(settled_ms "$TMP/trace" "$cap" "$at")
    [ -n "$took" ]
}
# measure WAY WORDS
measure() {
    worst=0
    changes=$(full 50 6)
    for round in $(seq "$changes"); do
        cap=80
        [ $((round % 2)) = 1 ] || cap=20
        at=$(now_ns)
        "$1" "$cap" || fail "the cap is changed"
        wait_for 5 has_settled
        worst=$(awk -v a="$worst" -v b="${took:-9999}" 'BEGIN { print (a > b ? a : b) }')
    done
    at_most "longest time of $changes changes until the new cap held, ms (with the cost of $2)" "$worst" \
        "$(bar 100 5000)"
}
measure by_command "the command"
[ "${VGPU_TEST_DAEMON:-}" != 1 ] || measure by_request "the HTTP request"
is "ps shows the new cap" "$(ps_get name=a.gpus.0.compute_limit_percent)" "$cap.0"
end a
end free
done_testing
