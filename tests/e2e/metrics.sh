#!/bin/sh
# What the daemon exports is what Prometheus reads: checked by Prometheus' own tool, in both formats.
. "$(dirname "$0")/lib.sh"
show=$VGPU_STAGE/../../tests/e2e/show_metrics
list=$VGPU_STAGE/share/doc/vgpu/metrics.md
[ -x "$show" ] || { echo "1..0 # skip no programs for tests in this build"; exit 77; }

"$show" >"$TMP/text"
"$show" 'application/openmetrics-text;version=1.0.0' >"$TMP/open"
is "OpenMetrics ends as it has to" "$(tail -n 1 "$TMP/open")" '# EOF'

sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' "$TMP/text" | sort >"$TMP/shown"
sed -n 's/^| `\(vgpu_[a-z_]*\)` .*/\1/p' "$list" | sort >"$TMP/listed"
ok "the list of metrics has each that is shown" sh -c "[ -s $TMP/shown ] && ! comm -23 $TMP/shown $TMP/listed | grep ."

if ! command -v promtool >/dev/null; then
    skip_tool "Prometheus reads them: there is no promtool (Debian's package prometheus)"
    done_testing
fi
promtool check metrics <"$TMP/text" >"$TMP/said" 2>&1
is "promtool has nothing to say against the text" "$?$(cat "$TMP/said")" 0

# Its reader of OpenMetrics is the one that fills a database, and wants a time in each line.
sed '/^#/!s/$/ 1700000000/' "$TMP/open" >"$TMP/timed"
promtool tsdb create-blocks-from openmetrics "$TMP/timed" "$TMP/blocks" >"$TMP/said" 2>&1
is "OpenMetrics is read without an error" "$?" 0
samples=$(grep -vc '^#' "$TMP/open")
is "and every sample of it, each a series of its own" "$(awk 'END { print $5, $7 }' "$TMP/said")" "$samples $samples"
# The check can fail: a line that is wrong is refused.
sed 's/^# EOF/vgpu_wrong{a="b} 1 1700000000\n&/' "$TMP/timed" >"$TMP/wrong"
ok "what is wrong would be seen" sh -c "! promtool tsdb create-blocks-from openmetrics $TMP/wrong $TMP/none"
done_testing
