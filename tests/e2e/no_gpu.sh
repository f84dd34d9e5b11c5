#!/bin/sh
# Without a GPU and without a simulator, vgpu says so and how to get one.
. "$(dirname "$0")/lib.sh"

if [ -e /dev/nvidiactl ]; then
    echo "1..0 # skip this machine has a GPU"
    exit 77
fi
export VGPU_RUNTIME_DIR="$TMP/run"
vgpu run -- true >"$TMP/out" 2>"$TMP/err"
is "vgpu run: exit status" $? 1
ok "it says so in one line" test "$(wc -l <"$TMP/err")" -eq 1
ok "and names vgpu sim" grep -q 'vgpu sim' "$TMP/err"
vgpu doctor >"$TMP/doctor" 2>&1
ok "vgpu doctor answers all the same" grep -qi driver "$TMP/doctor"
is "no tenant is listed" "$(vgpu ps --json | json-get '#')" 0
done_testing
