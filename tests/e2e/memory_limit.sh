#!/bin/sh
# A tenant sees a GPU of the size of its limit, is refused beyond it with the driver's own "out of memory",
# and can have everything again after freeing it.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

# limited SIZE BYTES
limited() {
    ok "a guest under --memory $1 ends well" \
        sh -c 'vgpu run --memory "$1" -- "$2/memory" limit >"$3"' sh "$1" "$GUESTS" "$TMP/out"
    is "it sees a GPU of $1" "$(get "$TMP/out" total_bytes)" "$2"
    at_most "it has no more than $1, bytes" "$(get "$TMP/out" used_bytes)" "$2"
    at_least "and nearly all of it" "$(get "$TMP/out" used_bytes)" "$(calc "$2 - 33554432")"
    is "it gets as much again" "$(get "$TMP/out" blocks_again)" "$(get "$TMP/out" blocks)"
}

limited 2GiB 2147483648
# The driver counts in KiB, so that is what a program sees of a limit that is none.
limited 3GB 2999999488

# A limit that grows while the tenant runs.
background_as a vgpu run --name a --memory 1GiB -- "$GUESTS/memory" hold 100000000
ok "the tenant runs" wait_for 10 grep -q ready "$TMP/a.out"
ok "its limit is set to 4 GiB" vgpu set a --memory 4GiB
is "ps shows it" "$(ps_get name=a.gpus.0.memory_limit_bytes)" 4294967296
vgpu exec a -- "$GUESTS/memory" limit >"$TMP/out"
is "a second process sees the new size" "$(get "$TMP/out" total_bytes)" 4294967296
at_most "and gets what the first left, bytes" "$(get "$TMP/out" used_bytes)" \
    "$(calc '4294967296 - 100000000')"
kill -TERM "$(ps_get name=a.processes.0.pid)"
wait_for 5 is_no_tenant a
done_testing
