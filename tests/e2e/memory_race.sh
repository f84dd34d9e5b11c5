#!/bin/sh
# Sixteen processes of one tenant that allocate and free at once never have one byte more than its limit.
# timeout: 120
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

limit=$((8 * 1024 * 1024 * 1024))
rounds=$(full 1000 60)
# shellcheck disable=SC2016 # the inner shell's variables
background_as a vgpu run --name a --memory 8GiB -- sh -c '
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
        "$1/memory" race "$2" "$i" "$3" "$4/go" >"$4/race.$i" 2>"$4/ready.$i" &
    done
    wait' sh "$GUESTS" "$rounds" "$limit" "$TMP"
are_ready() { [ "$(cat "$TMP"/ready.* | grep -c ready)" = 16 ]; }
ok "all are there" wait_for 20 are_ready
: >"$TMP/go"
finish a
sum() { cat "$TMP"/race.* | sed "s/.*\"$1\": \([0-9]*\).*/\1/" | awk '{ s += $1 } END { print s + 0 }'; }
is "all ended well" "$(cat "$TMP"/race.* | wc -l)" 16
is "times that all together had more than the limit" "$(sum over)" 0
at_least "requests that were granted" "$(sum granted)" 50
at_least "requests that were refused" "$(sum refused)" 10
most=$(cat "$TMP"/race.* | sed 's/.*"most_bytes": \([0-9]*\).*/\1/' | sort -n | tail -n 1)
at_most "most that all together had, bytes" "$most" "$limit"
done_testing
