#!/bin/sh
# A tenant with a compute cap beside one that is busy all the time and has none: it gets its cap, and
# the two together nearly all of the GPU.
# timeout: 150
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator "$@"

# row CAP TOLERANCE KERNEL-US SECONDS [BURN-OPTION...]
row() {
    cap=$1
    tolerance=$2
    kernel_us=$3
    seconds=$4
    shift 4
    # shellcheck disable=SC2086 # options are words
    tenant free -- --kernel-us 100 $TOGETHER --seconds "$seconds"
    # shellcheck disable=SC2086
    tenant a --compute "$cap%" -- --kernel-us "$kernel_us" $TOGETHER --seconds "$seconds" "$@"
    finish a free
    near "cap of $cap % beside a busy neighbour, $kernel_us us kernels $*" "$(share a)" "$cap" \
        "$tolerance"
    at_least "the sum of both" "$(calc "$(share a) + $(share free)")" 95
    if [ "$kernel_us" -le 1000 ]; then
        at_most "the spread of the capped one over 100 ms windows" "$(spread a)" 2
    fi
    wait_for 5 is_no_tenant a
    wait_for 5 is_no_tenant free
}

if [ "$FULL" = 1 ]; then
    for cap in 5 10 30 50 80 95; do
        tolerance=1
        [ "$cap" -lt 95 ] || tolerance=1.5
        for kernel_us in 10 100 1000 20000 300000; do
            # Long kernels: twenty of them, at the speed that the cap leaves.
            seconds=$(awk "BEGIN { s = 20 * $kernel_us / 1e6 / ($cap / 100); print (s > 5) ? s : 5 }")
            row "$cap" "$tolerance" "$kernel_us" "$seconds"
            row "$cap" "$tolerance" "$kernel_us" "$seconds" --graph
        done
    done
else
    row 5 1 100 4
    row 30 1 1000 4
    row 50 1 10 4 --graph
    row 80 1 20000 5
    row 95 1.5 100 4
fi
done_testing
