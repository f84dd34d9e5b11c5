#!/bin/sh
# A tenant that has lost its front and its supervisor is listed, keeps its name and is taken over by
# `vgpu run --adopt`; one that has lost its processes, too, is cleaned up without a word.
. "$(dirname "$0")/lib.sh"
on_simulator --gpus 2 "$@"

one_line() { [ "$(wc -l <"$TMP/err")" -eq 1 ] && grep -q "^vgpu: .*$1" "$TMP/err"; }
# refused WORDS COMMAND...: fails with 1 and one line that has the words.
refused() {
    words=$1
    shift
    "$@" >"$TMP/out" 2>"$TMP/err"
    is "'$*': exit status" $? 1
    ok "'$*': one line: $words" one_line "$words"
}
has_state() { [ "$(ps_get "name=$1.state")" = "$2" ]; }
shows() { [ "$(ps_get "name=a.$1")" = "$2" ]; }

# --- an orphan ---

background_as a vgpu run --name a --gpu 1 --memory 2GiB --compute 50% --weight 3 --priority low -- \
    "$GUESTS/memory" hold 100000000
ok "a tenant holds memory" wait_for 10 grep -q ready "$TMP/a.out"
used=$(ps_get name=a.gpus.0.memory_used_bytes)
pid=$(ps_get name=a.processes.0.pid)
refused "no orphaned tenant 'b'" vgpu run --adopt b
refused "'a' is taken by a tenant that runs" vgpu run --adopt a
refused "'a' is taken by a tenant that runs" vgpu run --name a -- true
kill -KILL "$PID_a" "$(ps_get name=a.supervisor_pid)"
ok "without front and supervisor it is orphaned" wait_for 5 has_state a orphaned
vgpu ps --json >"$TMP/json"
is "ps: its supervisor is null" "$(get "$TMP/json" 0.supervisor_pid)" null
is "ps: its processes are nobody's to tell" "$(get "$TMP/json" '0.processes.#')" 0
for pair in index=1 memory_limit_bytes=2147483648 compute_limit_percent=50.0 weight=3 priority=low \
    memory_used_bytes=null compute_used_percent=null slice_us=null duty_percent=null; do
    is "ps: of its limits ${pair%=*}" "$(get "$TMP/json" "0.gpus.0.${pair%=*}")" "${pair#*=}"
done
ok "ps says in words how to adopt it" sh -c 'vgpu ps | grep -q -e "--adopt a "'
for command in 'vgpu run --name a -- true' 'vgpu set a --weight 2' 'vgpu exec a -- true'; do
    # shellcheck disable=SC2086 # words
    refused '--adopt a' $command
done
ok "its process lives" kill -0 "$pid"

vgpu run --adopt a --log "$TMP/log" >"$TMP/out" 2>"$TMP/err"
is "it is adopted" "$?$(cat "$TMP/out" "$TMP/err")" 0
ok "and runs" wait_for 5 has_state a running
ok "its memory is known again, to the byte" wait_for 5 shows gpus.0.memory_used_bytes "$used"
is "as is its process" "$(ps_get name=a.processes.0.pid)" "$pid"
is "its limits are as they were" "$(ps_get name=a.gpus.0.compute_limit_percent) $(ps_get name=a.gpus.0.weight)" \
    '50.0 3'
ok "they can be set" vgpu set a --weight 7
kill -TERM "$pid"
ok "it ends with its process" wait_for 5 is_no_tenant a
ok "and leaves nothing" wait_for 5 has_no_folders

# One that never touched a GPU.
background_as a vgpu run --name a -- sleep 60
ok "a tenant without work on a GPU" wait_for 10 is_tenant a
wait_for 5 test -s "$VGPU_RUNTIME_DIR/tenants/a/state"
# is_sleeping FRONT: its command is the program by now, and no copy of the front's.
is_sleeping() { pgrep -P "$1" -x sleep; }
wait_for 5 is_sleeping "$PID_a"
sleep_pid=$(is_sleeping "$PID_a")
kill -KILL "$PID_a" "$(ps_get name=a.supervisor_pid)"
ok "is orphaned, too" wait_for 5 has_state a orphaned

# Its state is of another version.
cp "$VGPU_RUNTIME_DIR/tenants/a/state" "$TMP/state"
printf '\377\377' | dd of="$VGPU_RUNTIME_DIR/tenants/a/state" bs=1 seek=4 conv=notrunc 2>/dev/null
refused 'another version' vgpu run --adopt a
refused 'another version' vgpu ps a
cp "$TMP/state" "$VGPU_RUNTIME_DIR/tenants/a/state"
ok "adopted" vgpu run --adopt a
ok "it runs" wait_for 5 has_state a running
kill -TERM "$sleep_pid"
ok "and ends" wait_for 5 is_no_tenant a

# --- what is stale ---

for name in a b c; do
    background_as $name vgpu run --name $name -- sleep 60
done
for name in a b c; do
    wait_for 10 is_tenant $name
    eval "front=\$PID_$name"
    wait_for 5 is_sleeping "$front"
    kill -KILL "$front" "$(ps_get name=$name.supervisor_pid)" "$(is_sleeping "$front")"
done
ok "three tenants have left their files" test -e "$VGPU_RUNTIME_DIR/tenants/c/state"
is "a stale name is free, without a word" "$(vgpu run --name b -- echo ran 2>&1)" ran
# What was just killed may take a moment to be gone.
is_swept() { is_no_tenant a && is_no_tenant c && has_no_folders; }
ok "whoever comes cleans up after the others" wait_for 5 is_swept
mkdir -m 0700 "$VGPU_RUNTIME_DIR/tenants/d"
is "an empty directory is no tenant" "$(vgpu run --name d -- echo ran 2>&1)$(vgpu ps)" ran
done_testing
