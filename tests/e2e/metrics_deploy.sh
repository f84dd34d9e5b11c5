#!/bin/sh
# The dashboard and the alerts that are shipped speak of metrics that there are, and work.
. "$(dirname "$0")/lib.sh"
list=$VGPU_STAGE/share/doc/vgpu/metrics.md
dashboard=$ROOT/deploy/grafana/vgpu.json
rules=$ROOT/deploy/prometheus/vgpu.rules.yml
rules_test=$ROOT/deploy/prometheus/vgpu.rules.test.yml

ok "dashboard and rules are in order, and know only what is exported" \
    check-dashboard "$list" "$dashboard" "$rules" "$rules_test"

# What the check is for, it sees.
# refuses SENTENCE WORDS SED-PROGRAM: a dashboard that was changed so is refused with these words.
refuses() {
    sed "$3" "$dashboard" >"$TMP/changed.json"
    check-dashboard "$list" "$TMP/changed.json" >"$TMP/said"
    is "$1" "$?$(grep -c "$2" "$TMP/said" | sed 's/^[1-9].*/ seen/')" '1 seen'
}
refuses "a metric that is not there" "no metric 'vgpu_gpu_bussy_ratio'" 's/vgpu_gpu_busy_ratio/vgpu_gpu_bussy_ratio/'
refuses "a label that a metric does not have" "has no label 'tenant'" 's/vgpu_tenant_memory_used_bytes/vgpu_gpu_memory_used_bytes/'
refuses "panels that lie on each other" 'lie on each other' 's/"y": [0-9]*/"y": 1/'
refuses "ids that are there twice" 'not a number that is there once' 's/"id": 3,/"id": 4,/'
refuses "a panel without a query" 'no query' 's/"targets"/"target"/'
refuses "a query from somewhere else" 'not from the data source' 's/"${datasource}"/"other"/'
refuses "a variable that is missing" "variable 'tenant'" 's/"name": "tenant"/"name": "tenants"/'

if ! command -v promtool >/dev/null; then
    skip_tool "rules and queries: there is no promtool (Debian's package prometheus)"
    done_testing
fi
ok "promtool takes the rules" promtool check rules "$rules"
ok "each alert fires when it should and not when it should not" promtool test rules "$rules_test"
for alert in $(sed -n 's/.*- alert: //p' "$rules"); do
    is "$alert is tried both ways" "$(grep -c "alertname: $alert}" "$rules_test" | sed 's/^[1-9].*/quiet/') $(grep -c "alertname: $alert\$" "$rules_test")" 'quiet 1'
done
check-dashboard --rules "$dashboard" >"$TMP/queries.yml"
ok "promtool takes the queries of the dashboard" promtool check rules "$TMP/queries.yml"
is "all of them" "$(grep -c 'expr:' "$TMP/queries.yml")" "$(grep -c '"expr":' "$dashboard")"
done_testing
