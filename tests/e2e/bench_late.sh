#!/bin/sh
# A tenant of a trial that is not ready in time, as on a busy machine: the trial is run once more, and is not judged
# by what the others got without it.
# timeout: 60
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

# shellcheck disable=SC2016 # the inner shell's variables
LATE_START=$TMP/marker sh -c 'LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}$1/late_start.so" \
    vgpu bench --rows "^cap 30 %, 100 us kernels, beside" --seconds 1 --json' sh "$GUESTS" >"$TMP/json" 2>"$TMP/err"
ok "one of them was late" test -e "$TMP/marker"
is "it is said, once" "$(grep -c 'once more' "$TMP/err")" 1
near "and the share is that of the second time: off by, points" "$(get "$TMP/json" rows.0.got)" 0 "$(bar 1 10)"
done_testing
