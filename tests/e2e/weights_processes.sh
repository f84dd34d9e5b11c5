#!/bin/sh
# A tenant of four busy processes beside one of one process, of equal weight: half each.
# timeout: 60
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

seconds=$(full 10 5)
# shellcheck disable=SC2016 # the inner shell's variables
background_as four vgpu run --name four -- sh -c '
    for i in 1 2 3 4; do
        vgpu burn --json --kernel-us 100 --warm-up 2 --cool-down 2 --seconds "$1" >"$2/four$i.out" &
    done
    wait' sh "$seconds" "$TMP"
# shellcheck disable=SC2086 # options are words
tenant one -- --kernel-us 100 $TOGETHER --seconds "$seconds"
finish four one
four=$(calc "$(share four1) + $(share four2) + $(share four3) + $(share four4)")
one=$(share one)
measured "four processes $four, one process $one"
near "one process beside four of another tenant, in percent of their sum" \
    "$(calc "100 * $one / ($one + $four)")" 50 "$(bar 1.5 10)"
done_testing
