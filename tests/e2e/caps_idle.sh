#!/bin/sh
# A tenant that is busy 60 % of the time by itself and capped at 50 % gets 50 %.
# timeout: 60
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

tenant a --compute 50% -- --kernel-us 100 --busy 60 --warm-up 4 --seconds "$(full 10 5)"
finish a
near "busy 60 % by itself, capped at 50 %, alone" "$(share a)" 50 2
wait_for 5 is_no_tenant a

# shellcheck disable=SC2086 # options are words
tenant a --compute 50% -- --kernel-us 100 --busy 60 $TOGETHER --seconds "$(full 10 5)"
# shellcheck disable=SC2086
tenant free -- --kernel-us 100 $TOGETHER --seconds "$(full 10 5)"
finish a free
near "busy 60 % by itself, capped at 50 %, beside a busy neighbour" "$(share a)" 50 2
done_testing
