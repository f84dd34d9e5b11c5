#!/bin/sh
# Requests of a high-priority tenant are served quickly beside a busy tenant of low priority.
# timeout: 60
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

seconds=$(full 10 4)
request='--kernel-us 200 --every 5000'
# shellcheck disable=SC2086 # options are words
tenant alone --priority high -- $request --warm-up 1 --seconds "$seconds"
finish alone
wait_for 5 is_no_tenant alone
neighbour low --priority low -- --kernel-us 1000
ok "the neighbour is there" wait_for 10 is_busy low
# shellcheck disable=SC2086
tenant high --priority high -- $request --warm-up 2 --seconds "$seconds"
finish high
end low
alone=$(get "$TMP/alone.out" latency_us.p99)
high=$(get "$TMP/high.out" latency_us.p99)
measured "p99 alone $alone us, beside the neighbour $high us"
at_most "p99 beside a busy neighbour over p99 alone" "$(calc "$high / $alone")" 2.2
done_testing
