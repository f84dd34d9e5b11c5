#!/bin/sh
# Programs that fork, become daemons, execute others, close all descriptors or inherit a GPU's from their
# parent work as they do without vgpu, stay under their limits, and leave no memory behind. Their own
# preloaded libraries stay, in their order.
# timeout: 90
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

held=104857600
count_of() { ps_get 'name=a.processes.#'; }
has_count() { [ "$(count_of)" = "$1" ]; }
uses() { [ "$(ps_get name=a.gpus.0.memory_used_bytes)" -ge "$1" ] && [ "$(ps_get name=a.gpus.0.memory_used_bytes)" -le "$2" ]; }
context=700000000 # more than a context needs

# --- a daemon ---

vgpu run --name a --memory 2GiB -- "$GUESTS/processes" daemon "$TMP/daemon" >"$TMP/out" 2>"$TMP/err"
is "a daemon: vgpu run ends with the command" "$?$(cat "$TMP/out" "$TMP/err")" 0
ok "the daemon is up" wait_for 10 test -s "$TMP/daemon"
is "and in the tenant" "$(ps_get name=a.processes.0.pid)" "$(cat "$TMP/daemon")"
ok "with its memory" wait_for 5 uses $held $((held + context))
supervisor=$(ps_get name=a.supervisor_pid)
is "under the supervisor that it began with" "$(ps_get name=a.state)" running
kill -TERM "$(cat "$TMP/daemon")"
ok "the tenant ends with it" wait_for 5 is_no_tenant a
ok "and its supervisor" wait_for 5 is_gone "$supervisor"

# A daemon that never touches a GPU keeps the name as well.
vgpu run --name a -- sh -c 'setsid sleep 60 >/dev/null 2>&1 & echo $!' >"$TMP/out"
ok "a daemon without GPU keeps the tenant" is_tenant a
pid=$(cat "$TMP/out") # setsid leads no group there, and so does not fork
kill -TERM "$pid"
ok "until it ends" wait_for 5 is_no_tenant a

# --- what is inherited ---

free_bytes() { "$GUESTS/memory" limit | json-get free_bytes; }
free_before=$(free_bytes)
vgpu run --name a -- "$GUESTS/processes" inherit "$TMP/child"
is "a process that dies, and a child that has its descriptors" $? 0
child=$(cat "$TMP/child")
ok "the child lives" kill -0 "$child"
ok "the memory of the dead is free all the same" wait_for 5 uses 0 0
is "on the card, too" "$(free_bytes)" "$free_before"
is "the tenant is there for the child" "$(ps_get name=a.state)" running
kill -TERM "$child"
ok "and ends with it" wait_for 5 is_no_tenant a

# --- another program ---

background_as a vgpu run --name a --memory 2GiB -- \
    "$GUESTS/processes" exec "$GUESTS/memory" hold 50000000
ok "a process that executes another program" wait_for 10 grep -q ready "$TMP/a.out"
ok "is one process" wait_for 5 has_count 1
is "with the new name" "$(ps_get name=a.processes.0.comm)" memory
ok "and the new program's memory alone" wait_for 5 uses 50000000 $context
end a

# --- children, and descriptors that are closed ---

background_as a vgpu run --name a --memory 2GiB --compute 50% -- "$GUESTS/processes" children
ok "children by fork, vfork, spawn, clone, beside threads" wait_for 30 grep -q ready "$TMP/a.out"
is "each without a word" "$(cat "$TMP/a.err")" ''
ok "none of them is left in ps" wait_for 5 has_count 1
ok "what they allocated is free again" wait_for 5 uses $held $((held + context))
end a

background_as a vgpu run --name a --memory 2GiB --compute 50% -- "$GUESTS/processes" cancel
ok "threads that are cancelled in the midst of calls" wait_for 30 grep -q ready "$TMP/a.out"
is "the program goes on without a word" "$(cat "$TMP/a.err")" ''
ok "with what its first thread allocated" wait_for 5 uses $held $((held + context))
end a

# A library that is preloaded behind ours is initialised before it, and so are its handlers for fork called.
# shellcheck disable=SC2016 # what is there in the tenant
background_as a vgpu run --name a --memory 2GiB -- sh -c 'LD_PRELOAD=$LD_PRELOAD:$1/early_child.so exec "$1/processes" early "$2"' \
    - "$GUESTS" "$TMP/early"
ok "a child whose first handler for fork is another library's" wait_for 10 test -s "$TMP/early"
ok "knows what it inherited: what it allocates on it is the tenant's" wait_for 5 uses 67108864 67108864
kill "$(cat "$TMP/early")"
end a

background_as a vgpu run --name a --memory 2GiB --compute 50% -- "$GUESTS/processes" steal
ok "a program that takes our descriptors' numbers" wait_for 10 grep -q ready "$TMP/a.out"
ok "is in its tenant again" wait_for 5 has_count 1
ok "with its memory" wait_for 5 uses $held $((held + context))
supervisor=$(ps_get name=a.supervisor_pid)
kill -KILL "$supervisor"
has_other_supervisor() {
    now=$(ps_get name=a.supervisor_pid)
    [ "$now" != missing ] && [ "$now" != null ] && [ "$now" != "$supervisor" ]
}
ok "another supervisor" wait_for 5 has_other_supervisor
ok "finds it, too" wait_for 5 has_count 1
ok "and its memory" wait_for 5 uses $held $((held + context))
end a

# --- preloaded libraries ---

given="libm.so.6 libdl.so.2:${LD_PRELOAD:-}"
# shellcheck disable=SC2016 # the tenant's variable
inside=$(LD_PRELOAD=$given vgpu run -- sh -c 'echo "$LD_PRELOAD"')
is "a command's own preloaded libraries stay behind ours" "$inside" "$LIB/libcuda_limiter.so:$given"
LD_PRELOAD=$given vgpu run -- cat /proc/self/maps >"$TMP/maps"
ok "and are loaded" grep -q 'libm\.so' "$TMP/maps"
# shellcheck disable=SC2016
is "what a command preloads for others is its own" \
    "$(vgpu run -- sh -c 'LD_PRELOAD=libm.so.6 sh -c "echo \$LD_PRELOAD"')" libm.so.6
ok "no tenant is left" wait_for 5 has_no_folders
done_testing
