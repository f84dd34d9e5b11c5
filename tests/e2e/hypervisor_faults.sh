#!/bin/sh
# A daemon on a machine with something wrong: a full or read-only disk under its runtime directory, no NVML, a GPU
# that is lost and comes back. Tenants run on, what is new is refused with words, and each is said once.
# timeout: 120
. "$(dirname "$0")/lib.sh"
# In a namespace of its own, so that what is mounted goes with the test.
if [ "${VGPU_TEST_MOUNTS:-}" != own ]; then
    unshare -m true 2>/dev/null || { echo "1..0 # skip only root may mount"; exit 77; }
    VGPU_TEST_MOUNTS=own exec unshare -m sh "$0" "$@"
fi
on_simulator --gpus 2 "$@"

export VGPU_RUNTIME_DIR="$TMP/run"
mkdir "$TMP/run"
mount -t tmpfs -o mode=0700,size=256k none "$TMP/run" || { echo "1..0 # skip no tmpfs here"; exit 77; }
# healthz SENTENCE WANTED WORD: what the daemon says of itself over HTTP: its status, and a word in the body; where
# it has no such socket that is not looked at.
healthz() {
    if [ ! -S "$VGPU_RUNTIME_DIR/api" ]; then
        skip "healthz: $1"
        return
    fi
    healthz_wanted=$2
    healthz_word=$3
    ok "healthz: $1" wait_for 15 healthz_says
}
healthz_says() {
    healthz_got=$(curl -s -o "$TMP/healthz" -w '%{http_code}' --unix-socket "$VGPU_RUNTIME_DIR/api" http://d/healthz)
    [ "$healthz_got" = "$healthz_wanted" ] && grep -qi "$healthz_word" "$TMP/healthz"
}
# refused WORDS COMMAND...: fails with 1 and one line that has the words.
refused() {
    words=$1
    shift
    "$@" >"$TMP/out" 2>"$TMP/err"
    is "'$*': exit status" $? 1
    ok "'$*': one line: $words" sh -c \
        'test "$(wc -l <"$1")" = 1 && grep -q "^vgpu: .*$2" "$1" || { cat "$1"; exit 1; }' sh "$TMP/err" "$words"
}
said() { grep -c "$1" "$TMP/daemon.log"; }
# works_on NAME: its trace grows.
works_on() {
    works_lines=$(wc -l <"$TMP/$1.trace")
    wait_for 5 has_more "$1" "$((works_lines + 5))"
}
has_more() { [ "$(wc -l <"$TMP/$1.trace")" -ge "$2" ]; }

# --- the disk ---

start_daemon
tenant a --gpu 0 --compute 40% -- --kernel-us 100 --seconds 3600 --trace "$TMP/a.trace"
tenant b --gpu 1 --compute 30% -- --kernel-us 100 --seconds 3600 --trace "$TMP/b.trace"
ok "two tenants" wait_for 10 is_at "$TMP/a.trace" 36 44
ok "with their caps" wait_for 10 is_at "$TMP/b.trace" 26 34
healthz "all is well" 200 ok

dd if=/dev/zero bs=4k >>"$TMP/run/filler" 2>/dev/null
refused 'o space left' vgpu run --name c -- true
healthz "full disk" 503 '"disk".*o space left'
is "full disk: nothing of it is left" "$(tenant_folders)" 'a b'
refused 'o space left.*\|change holds' vgpu set a --compute 20%
ok "a change holds all the same" wait_for 5 is_at "$TMP/a.trace" 16 24
ok "the other tenant works on" works_on b
supervisor=$(ps_get name=a.supervisor_pid)
has_other_supervisor() {
    now=$(ps_get name=a.supervisor_pid)
    [ "$now" != missing ] && [ "$now" != null ] && [ "$now" != 0 ] && [ "$now" != "$supervisor" ]
}
kill -KILL "$supervisor"
ok "a supervisor that is killed is followed" wait_for 5 has_other_supervisor
ok "by one that knows what was written last" wait_for 5 is_at "$TMP/a.trace" 36 44
kill_daemon
is "which is said once" "$(said 'error health: disk: .*o space left')" 1
start_daemon
ok "a daemon that begins on a full disk knows its tenants" wait_for 5 has_other_supervisor
healthz "and what is wrong" 503 '"disk".*o space left'
rm "$TMP/run/filler"
ok "with room again, all is well" vgpu run --name c -- true
healthz "all is well again" 200 ok

# What is open for writing keeps the disk itself writable: it lies under one that is not.
read_only() { mount --bind "$TMP/run" "$TMP/run" && mount -o remount,bind,ro "$TMP/run"; }
read_only
refused 'ead-only file system' vgpu run --name c -- true
ok "read-only: tenants work on" works_on a
ok "each of them" works_on b
healthz "read-only" 503 '"disk".*ead-only file system'
lines=$(wc -l <"$TMP/daemon.log")
sleep 3 # the silence of three looks is what is under test: there is nothing to wait for
at_most "lines that the daemon writes in three seconds without a request" "$(($(wc -l <"$TMP/daemon.log") - lines))" 1
umount "$TMP/run"
ok "writable again, all is well" vgpu run --name c -- true
healthz "writable again" 200 ok

# --- a GPU ---

"$LIB/sim/vgpu-sim" --set-fault gpu-lost=1
is_unknown() { [ "$(ps_get name=b.gpus.0.compute_used_percent)" = null ]; }
ok "a GPU is lost: what its tenant uses is not known" wait_for 10 is_unknown
ok "the tenant of the other one works on" works_on a
ok "at its cap" wait_for 5 is_at "$TMP/a.trace" 36 44
has_said_lost() { [ "$(said 'error health: gpu: GPU 1 .* is lost')" -ge 1 ]; }
ok "the daemon says so" wait_for 15 has_said_lost
healthz "it says so, too" 503 lost
lines=$(said 'is lost')
sleep 2 # as above
is "once" "$(said 'error health: gpu: GPU 1 .* is lost')" 1
is "and nothing more about it" "$(said 'is lost')" "$lines"
ok "a tenant goes where there is a GPU" vgpu run -- true
"$LIB/sim/vgpu-sim" --set-fault gpu-lost=off
healthz "it is back" 200 ok
kill -0 "$PID_daemon"
is "the daemon lives" $? 0
end a
end b
ok "its tenants end" wait_for 10 is_no_tenant b
kill_daemon

# --- from the beginning ---

read_only
# It ends with its process: what it had is not freed one by one.
ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" timeout 10 vgpu-hypervisor --api-listen-addr '' >"$TMP/out" 2>"$TMP/err"
is "read-only when it begins: it ends" $? 1
ok "with words that name what cannot be written" grep -q "$TMP/run.*ead-only file system" "$TMP/err"
umount "$TMP/run"

# shellcheck disable=SC2016 # the inner shell's variables
cat >"$TMP/without_nvml" <<'END'
export VGPU_RUNTIME_DIR=$1/run2
vgpu-hypervisor --api-listen-addr "" 2>"$1/nvml.log" &
daemon=$!
for i in $(seq 500); do [ ! -S "$1/run2/control" ] || break; sleep 0.02; done
vgpu run --name n --memory 2GiB -- vgpu ps --json >"$1/nvml.out" 2>"$1/nvml.err"
echo $? >"$1/nvml.status"
asked() { curl -s -o "$1/nvml.healthz" -w '%{http_code}' --unix-socket "$1/run2/api" http://d/healthz; }
for i in $(seq 500); do [ "$(asked "$1")" != 503 ] || break; sleep 0.02; done # its first look may be still to come
asked "$1" >"$1/nvml.code"
curl -s --unix-socket "$1/run2/api" http://d/api/v1/node >"$1/nvml.node"
sleep 2 # it lives on: so long it has looked for NVML twice
kill -0 $daemon && echo lives >"$1/nvml.lives"
kill $daemon
wait $daemon
END
vgpu sim --fault no-nvml -- sh "$TMP/without_nvml" "$TMP" "$GUESTS"
is "without NVML a daemon lives" "$(cat "$TMP/nvml.lives")" lives
is "and keeps a tenant" "$(cat "$TMP/nvml.status")" 0
is "with its memory limit" "$(get "$TMP/nvml.out" name=n.gpus.0.memory_limit_bytes)" 2147483648
is "healthz: it is not well" "$(cat "$TMP/nvml.code")" 503
is "as NVML is not there" "$(get "$TMP/nvml.healthz" faults.0.component) $(get "$TMP/nvml.node" faults.0.component)" \
    'sampler sampler'
ok "with those words" grep -q 'NVML is not there' "$TMP/nvml.healthz"
is "that NVML is not there is said once" "$(grep -c 'error health: .*NVML is not there' "$TMP/nvml.log")" 1

# A sampler that does not come back: the machine stands still under it. That is said after fifteen seconds.
# shellcheck disable=SC2016 # the inner shell's variables
cat >"$TMP/standing_still" <<'END'
export VGPU_RUNTIME_DIR=$1/run2
vgpu-hypervisor --api-listen-addr "" 2>"$1/sampler.log" &
daemon=$!
asked() { curl -s -o "$1/sampler.healthz" -w '%{http_code}' --unix-socket "$1/run2/api" http://d/healthz; }
comes_to() { for i in $(seq 1500); do [ "$(asked "$1")" != "$2" ] || break; sleep 0.02; done; asked "$1"; }
comes_to "$1" 200 >"$1/sampler.before"
machine=$PPID # vgpu-sim runs the command itself
kill -STOP "$machine"
comes_to "$1" 503 >"$1/sampler.meanwhile"
cp "$1/sampler.healthz" "$1/sampler.faults"
kill -CONT "$machine"
comes_to "$1" 200 >"$1/sampler.after"
kill $daemon
wait $daemon
END
vgpu sim -- sh "$TMP/standing_still" "$TMP"
is "a sampler that gets on" "$(cat "$TMP/sampler.before")" 200
is "one that does not: healthz is not well" "$(cat "$TMP/sampler.meanwhile")" 503
is "and says which" "$(get "$TMP/sampler.faults" faults.0.component)" sampler
ok "with words" grep -q 'sampler does not get on' "$TMP/sampler.faults"
is "it gets on again" "$(cat "$TMP/sampler.after")" 200
umount "$TMP/run"
done_testing
