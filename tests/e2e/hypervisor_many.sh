#!/bin/sh
# Many tenants, one after the other and at once: the daemon keeps no descriptor, no memory and no file of those
# that have ended, and answers meanwhile.
# timeout: 150
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator --gpus 2 "$@"

ask="$ROOT/tests/e2e/node_ask.py"
descriptors() { find "/proc/$PID_daemon/fd" -mindepth 1 2>/dev/null | wc -l; }
resident_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$PID_daemon/status"; }
has_descriptors() { [ "$(descriptors)" -le "$1" ]; }
files() { find "$VGPU_RUNTIME_DIR" -mindepth 1 -printf '%P\n' | sort; }
is_empty() { [ -z "$(ls "$VGPU_RUNTIME_DIR/tenants")" ]; }
now_ms() { date +%s%3N; }
# some COUNT: so many short tenants, four at a time.
some() {
    some_failed=0
    for some_round in $(seq $(($1 / 4))); do
        some_pids=
        for some_name in a b c d; do
            vgpu run --name $some_name --compute 20% -- true &
            some_pids="$some_pids $!"
        done
        for some_pid in $some_pids; do
            wait "$some_pid" || some_failed=$((some_failed + 1))
        done
    done
}

# Fewer than those at once need: the daemon allows itself more.
start_daemon prlimit --nofile=128:4096
some 40 # what is allocated once is allocated now
wait_for 10 is_empty
before_fds=$(descriptors)
before_kib=$(resident_kib)
before_files=$(files)

count=$(full 1000 100)
begun=$(now_ms)
some "$count"
is "$count tenants are made and end, four at a time" "$some_failed" 0
measured "each took, ms: $((($(now_ms) - begun) / count))"
ok "nothing is left of them" wait_for 10 is_empty
ok "no descriptor" wait_for 5 has_descriptors $((before_fds + 4)) # some are there for a moment
measured "descriptors before and after: $before_fds, $(descriptors)"
is "no file" "$(files)" "$before_files"
at_most "the daemon's memory has grown, KiB" "$(($(resident_kib) - before_kib))" 1024

# --- at once ---

crowd=$(full 200 30)
cat >"$TMP/crowd" <<'END'
import sys, time
sys.path.insert(0, sys.argv[1])
import node_ask
count, what = int(sys.argv[3]), sys.argv[2]
node = node_ask.Node()
worst = {}
def timed(name, function, *words):
    begun = time.monotonic()
    result = function(*words)
    worst[name] = max(worst.get(name, 0), (time.monotonic() - begun) * 1000)
    return result
names = [f'crowd{i}' for i in range(count)]
if what == 'make':
    for name in names:
        timed('make', node.keep, name, 0.1)
elif what == 'ask':
    for name in names:
        assert sorted(timed('list', node.names)) == sorted(names)
        timed('select', node.select, name)
        assert timed('status', node.status)['name'] == name
        timed('set', node.set_cap, 0.2)
        assert timed('status', node.status)['gpus'][0]['cap_percent'] == 0.2
        assert timed('explain', node.explain)['cap_percent'] == 0.2
else:
    for name in names:
        node.select(name)
        timed('end', node.end)
print(' '.join(f'{name} {ms:.0f}' for name, ms in worst.items()))
END
crowd() { python3 "$TMP/crowd" "$ROOT/tests/e2e" "$1" "$crowd" >"$TMP/$1" 2>&1; }
# worst WHAT CONTROL: of the figures above.
worst() { tr ' ' '\n' <"$TMP/$1" | grep -A1 -x "$2" | tail -n 1; }
# slowest WHAT CONTROL...: of all that were asked.
slowest() {
    slowest_what=$1
    shift
    for control; do
        at_most "the slowest $control beside so many, ms" "$(worst "$slowest_what" "$control")" 100
    done
}
crowd make
is "$crowd tenants at once are made" "$?$(grep -v '^make ' "$TMP/make")" 0
slowest make make
crowd ask
is "each answers for itself, and can be changed" "$?$(grep -v '^list ' "$TMP/ask")" 0
slowest ask list select status set explain
begun=$(now_ms)
vgpu set crowd1 --compute 0.5%
measured "vgpu set beside so many, ms: $(($(now_ms) - begun))"
is "vgpu set works beside so many" "$(ps_get name=crowd1.gpus.0.compute_limit_percent)" 0.5
measured "daemon with $crowd tenants: $(descriptors) descriptors, $(resident_kib) KiB"
kill_daemon
start_daemon
is "a daemon that begins knows all of them" "$("$ask" list | wc -l)" "$crowd"
ok "and answers for the last" "$ask" status "crowd$((crowd - 1))"
crowd end
is "they are ended" "$?$(grep -v '^end ' "$TMP/end")" 0
slowest end end
ok "nothing is left of them" wait_for 30 is_empty
is "no file" "$(files)" "$before_files"
ok "no descriptor" wait_for 10 has_descriptors $((before_fds + 1))
kill_daemon
done_testing
