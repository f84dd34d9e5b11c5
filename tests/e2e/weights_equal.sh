#!/bin/sh
# Two busy tenants of equal weight get half of the GPU each, and lose little of it to switches.
# timeout: 60
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

least=$(bar 96 60)
apart=$(bar 1 10)
measure() {
    for name in a b; do
        # shellcheck disable=SC2086 # options are words
        tenant "$name" -- --kernel-us 100 $TOGETHER --seconds "$(full 10 4)"
    done
    finish a b
    sum=$(calc "$(share a) + $(share b)")
    off=$(calc "$(share a) - $sum / 2")
    [ "$(calc "($least <= $sum && $off <= $apart && -($off) <= $apart)")" = 1 ]
}
up_to 3 measure
at_least "two busy tenants of equal weight together" "$sum" "$least"
near "the first of them" "$(share a)" "$(calc "$sum / 2")" "$apart"
done_testing
