#!/bin/sh
# A tenant with a compute cap that is alone on its GPU gets its cap, whatever the length of its kernels.
# timeout: 150
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator "$@"

# row CAP KERNEL-US SECONDS [BURN-OPTION...]
row() {
    cap=$1
    kernel_us=$2
    seconds=$3
    shift 3
    tenant a --compute "$cap%" -- --kernel-us "$kernel_us" --warm-up 1 --seconds "$seconds" "$@"
    finish a
    near "cap of $cap %, $kernel_us us kernels $*" "$(share a)" "$cap" 1
    if [ "$kernel_us" -le 1000 ]; then
        at_most "its spread over 100 ms windows" "$(spread a)" 2
    fi
    wait_for 5 is_no_tenant a
}

if [ "$FULL" = 1 ]; then
    for cap in 5 10 30 50 80 95; do
        for kernel_us in 10 100 1000 20000 300000; do
            # Long kernels: twenty of them, at the speed that the cap leaves.
            seconds=$(awk "BEGIN { s = 20 * $kernel_us / 1e6 / ($cap / 100); print (s > 5) ? s : 5 }")
            row "$cap" "$kernel_us" "$seconds"
            row "$cap" "$kernel_us" "$seconds" --graph
        done
    done
else
    row 5 100 4
    row 30 1000 4
    row 50 100 4 --graph
    row 80 10 4
    row 95 1000 4
    row 50 20000 5
    row 80 300000 8
fi
done_testing
