#!/bin/sh
# vgpu bench measures the rows that are asked for, and reports them as a table, as JSON and as a picture.
# timeout: 60
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

ok "the rows can be listed" sh -c 'vgpu bench --list | grep -q "^cap 30 %"'
# shellcheck disable=SC2016 # the inner shell's variables
ok "there are more of them with --all" \
    sh -c '[ "$(vgpu bench --list --all | wc -l)" -gt "$(vgpu bench --list | wc -l)" ]'
vgpu bench --rows '^cap 30 %, 100 us kernels, beside' --seconds 1 --json --svg "$TMP/bench.svg" >"$TMP/json"
is "one claim is three rows" "$(get "$TMP/json" 'rows.#')" 3
near "its share is off by, points" "$(get "$TMP/json" rows.0.got)" 0 1
is "its bar" "$(get "$TMP/json" rows.0.bar)" 0.7
at_least "the sum of both" "$(get "$TMP/json" rows.1.got)" 95
is "the engine" "$(get "$TMP/json" engine)" rm
is "bars in the picture" "$(grep -c '<rect x=' "$TMP/bench.svg")" 3
vgpu bench --rows '(' >"$TMP/out" 2>"$TMP/err"
is "an expression that is none: exit status" $? 2
is "no directory of rates is left" "$(find /tmp -maxdepth 1 -name 'vgpu-rates-*' -newer "$TMP" | wc -l)" 0
done_testing
