#!/bin/sh
# timeout: 120
# vgpu top in a terminal: keys, limits changed from it, sizes, a hung supervisor, and the terminal given back on every way out.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

tenant busy --compute 20% -- --kernel-us 100 --seconds 3600
background_as idle vgpu run --name idle -- sleep 3600
TENANTS="$TENANTS idle"
wait_for 10 is_tenant idle
wait_for 10 is_tenant busy
python3 "$ROOT/tests/e2e/top_terminal.py" | sed '/^1\.\./d' >"$TMP/tap"
cat "$TMP/tap"
COUNT=$(grep -c '^\(not \)\{0,1\}ok ' "$TMP/tap")
FAILED=$(grep -c '^not ok ' "$TMP/tap")
ok "it came to its end" test "$COUNT" -gt 50
end busy
kill -TERM "$(pgrep -P "$PID_idle" -x sleep)"
ok "all end" wait_for 5 is_no_tenant idle
done_testing
