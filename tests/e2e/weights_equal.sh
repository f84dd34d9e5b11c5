#!/bin/sh
# Two busy tenants of equal weight get half of the GPU each, and lose little of it to switches.
# timeout: 60
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

for name in a b; do
    # shellcheck disable=SC2086 # options are words
    tenant "$name" -- --kernel-us 100 $TOGETHER --seconds "$(full 10 4)"
done
finish a b
sum=$(calc "$(share a) + $(share b)")
at_least "two busy tenants of equal weight together" "$sum" 96
near "the first of them" "$(share a)" "$(calc "$sum / 2")" 1
done_testing
