#!/bin/sh
# vgpu bench measures the rows that are asked for, and reports them as a table, as JSON and as a picture.
# timeout: 60
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

ok "the rows can be listed" sh -c 'vgpu bench --list | grep -q "^cap 30 %"'
# shellcheck disable=SC2016 # the inner shell's variables
ok "there are more of them with --all" \
    sh -c '[ "$(vgpu bench --list --all | wc -l)" -gt "$(vgpu bench --list | wc -l)" ]'

# rates: this bench's directory of rates, by who is told to write or read there: there may be other benches.
rates() {
    for pid in $(pgrep -f /tmp/vgpu-rates-); do
        grep -qzxF "VGPU_RUNTIME_DIR=$VGPU_RUNTIME_DIR" "/proc/$pid/environ" 2>/dev/null &&
            tr '\0' '\n' <"/proc/$pid/cmdline" | grep -o '^/tmp/vgpu-rates-[^/]*'
    done
}
has_rates() {
    found=$(rates | head -n 1)
    [ -n "$found" ]
}
least=$(bar 95 60)
off=$(bar 1 10)
measure() {
    background_as json vgpu bench --rows '^cap 30 %, 100 us kernels, beside' --seconds 1 --json --svg "$TMP/bench.svg"
    wait_for 10 has_rates
    wait "$PID_json"
    forget_pid "$PID_json"
    cp "$TMP/json.out" "$TMP/json"
    got=$(get "$TMP/json" rows.0.got)
    [ "$(calc "($got <= $off && -($got) <= $off && $least <= $(get "$TMP/json" rows.1.got))")" = 1 ]
}
up_to 3 measure
is "one claim is three rows" "$(get "$TMP/json" 'rows.#')" 3
near "its share is off by, points" "$(get "$TMP/json" rows.0.got)" 0 "$off"
is "its bar" "$(get "$TMP/json" rows.0.bar)" 0.7
at_least "the sum of both" "$(get "$TMP/json" rows.1.got)" "$least"
is "the engine" "$(get "$TMP/json" engine)" rm
is "bars in the picture" "$(grep -c '<rect x=' "$TMP/bench.svg")" 3
vgpu bench --rows '(' >"$TMP/out" 2>"$TMP/err"
is "an expression that is none: exit status" $? 2
ok "its rates had a directory" test -n "$found"
ok "which is not left" test ! -e "$found"
done_testing
