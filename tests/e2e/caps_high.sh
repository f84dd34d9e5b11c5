#!/bin/sh
# A cap is a guarantee: it is reached beside a tenant of high priority that is busy all the time, whose requests
# are served as soon as ever when it is busy at times.
# timeout: 60
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator "$@"

calibrate --kernel-us 100
seconds=$(full 10 5)
# shellcheck disable=SC2086 # options are words
for pair in high='--priority high' a='--compute 40%' b='--compute 20%' free=; do
    tenant "${pair%%=*}" ${pair#*=} -- --kernel-us 100 $TOGETHER --seconds "$seconds"
done
finish high a b free
near "40 % beside a busy tenant of high priority" "$(share a)" 40 1
near "20 %" "$(share b)" 20 1
at_least "which has most of what they leave" "$(share high)" 20
at_least "the sum of all four" "$(calc "$(share high) + $(share a) + $(share b) + $(share free)")" 85
for name in high a b free; do
    wait_for 5 is_no_tenant $name
done

request='--kernel-us 200 --every 5000'
# shellcheck disable=SC2086
tenant alone --priority high -- $request --warm-up 1 --seconds "$seconds"
finish alone
wait_for 5 is_no_tenant alone
neighbour a --compute 40% -- --kernel-us 100
ok "the neighbour is there" wait_for 10 is_busy a
# shellcheck disable=SC2086
tenant high --priority high -- $request --warm-up 2 --seconds "$seconds"
finish high
end a
at_most "p99 of requests beside one with a cap over p99 alone" \
    "$(calc "$(get "$TMP/high.out" latency_us.p99) / $(get "$TMP/alone.out" latency_us.p99)")" 3
done_testing
