#!/bin/sh
# A tenant that is busy 60 % of the time by itself and capped at 50 % gets 50 %, and one that was idle for a
# while is at its cap as soon as it works.
# timeout: 60
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator "$@"

tenant a --compute 50% -- --kernel-us 100 --busy 60 --warm-up 4 --seconds "$(full 10 5)"
finish a
near "busy 60 % by itself, capped at 50 %, alone" "$(share a)" 50 2
wait_for 5 is_no_tenant a

# As a program that loads its libraries after making its context: alone, it occupies the GPU meanwhile.
calibrate --kernel-us 100
# shellcheck disable=SC2016 # the inner shell's variables
background_as late vgpu run --name late --compute 80% -- sh -c '
    "$1/memory" hold 1000000 >/dev/null &
    sleep 1.5
    vgpu burn --json --kernel-us 100 --rate "$2" --warm-up 1 --seconds 3
    kill $!' sh "$GUESTS" "$TMP/rate.100"
finish late
near "capped at 80 %, alone, after idling with a context" "$(share late)" 80 1
wait_for 5 is_no_tenant late

# shellcheck disable=SC2086 # options are words
tenant a --compute 50% -- --kernel-us 100 --busy 60 $TOGETHER --seconds "$(full 10 5)"
# shellcheck disable=SC2086
tenant free -- --kernel-us 100 $TOGETHER --seconds "$(full 10 5)"
finish a free
near "busy 60 % by itself, capped at 50 %, beside a busy neighbour" "$(share a)" 50 2
done_testing
