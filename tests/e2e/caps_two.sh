#!/bin/sh
# Two capped tenants that are always busy get their caps, with and without a third that has none.
# timeout: 60
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator "$@"

# row SENTENCE FREE-TENANTS...
row() {
    sentence=$1
    shift
    for name in a b "$@"; do
        case $name in
        a) limit='--compute 30%' ;;
        b) limit='--compute 50%' ;;
        *) limit= ;;
        esac
        # shellcheck disable=SC2086 # options are words
        tenant "$name" $limit -- --kernel-us 100 $TOGETHER --seconds "$(full 5 4)"
    done
    finish a b "$@"
    near "30 % and 50 % together$sentence: the first" "$(share a)" 30 1
    near "30 % and 50 % together$sentence: the second" "$(share b)" 50 1
    for name in "$@"; do
        at_least "30 % and 50 % together$sentence: the sum" \
            "$(calc "$(share a) + $(share b) + $(share "$name")")" 95
    done
    for name in a b "$@"; do
        wait_for 5 is_no_tenant "$name"
    done
}

row ''
row ', beside a third that is free' free
done_testing
