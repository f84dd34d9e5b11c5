#!/bin/sh
# `vgpu set` changes each limit of a tenant, several at once, on all of its GPUs or on one; a memory limit
# below what is used takes nothing away. `vgpu exec` adds processes under the same limits.
. "$(dirname "$0")/lib.sh"
on_simulator --gpus 3 "$@"

one_line() { [ "$(wc -l <"$TMP/err")" -eq 1 ] && grep -q "^vgpu: .*$1" "$TMP/err"; }
# limits GPU-POSITION: memory, compute, weight and priority of the tenant there.
limits() {
    vgpu ps --json >"$TMP/json"
    for key in memory_limit_bytes compute_limit_percent weight priority; do
        get "$TMP/json" "name=a.gpus.$1.$key"
    done | xargs
}
# refused STATUS WORDS OPTION...: vgpu set a is refused so.
refused() {
    status=$1
    words=$2
    shift 2
    vgpu set a "$@" >"$TMP/out" 2>"$TMP/err"
    is "set a $*: exit status" $? "$status"
    ok "set a $*: one line: $words" one_line "$words"
}

mkfifo "$TMP/go"
# shellcheck disable=SC2016 # the tenant's variables
background_as a vgpu run --name a --gpu 0 --gpu 2 --memory 4GiB -- sh -c \
    '"$0" hold 1000000000 & exec "$0" later <"$1"' "$GUESTS/memory" "$TMP/go"
exec 3>"$TMP/go"
both_are_ready() { [ "$(grep -c ready "$TMP/a.out")" = 2 ]; }
ok "a tenant on two of three GPUs" wait_for 10 both_are_ready
is "as it began" "$(limits 0)" '4294967296 null 1 normal'

ok "all limits at once" vgpu set a --memory 8GiB --compute 40% --weight 5 --priority high
is "hold on the first GPU" "$(limits 0)" '8589934592 40.0 5 high'
is "and on the second" "$(limits 1)" '8589934592 40.0 5 high'
ok "one limit on one GPU" vgpu set a --gpu 2 --weight 9
is "changes that alone" "$(limits 1)" '8589934592 40.0 9 high'
is "and not the other GPU" "$(limits 0)" '8589934592 40.0 5 high'
ok "options may stand before the name" vgpu set --priority low a
is "with the same effect" "$(limits 0)" '8589934592 40.0 5 low'
ok "the limits can be lifted" vgpu set a --memory none --compute none
is "memory and compute" "$(limits 0)" 'null null 5 low'
ok "a compute limit of 100 is none" vgpu set a --compute 100
is "and shown so" "$(limits 0)" 'null null 5 low'
ok "a part of the card" vgpu set a --memory 25% --compute 12.5

refused 2 'does not have GPU 1' --gpu 1 --weight 2
refused 2 'does not have GPU 7' --gpu 7 --weight 2
refused 2 'has only' --memory 900GiB
refused 2 'nothing to change'
refused 2 'one name too many' --weight 2 b
refused 2 unknown --colour red
is "a change that is refused changes nothing" "$(limits 1 | cut -d' ' -f2-)" '12.5 9 low'

# --- a memory limit below what is used ---

used=$(ps_get name=a.gpus.0.memory_used_bytes)
pids=$(ps_get 'name=a.processes.*.pid' | sort | xargs)
ok "a limit far below what is used" vgpu set a --gpu 0 --memory 64MiB
is "takes nothing away" "$(ps_get name=a.gpus.0.memory_used_bytes)" "$used"
echo >&3
ok "a process that asks for more" wait_for 10 grep -q total_bytes "$TMP/a.out"
grep total_bytes "$TMP/a.out" >"$TMP/figures"
is "gets none" "$(get "$TMP/figures" blocks)" 0
is "and sees that little" "$(get "$TMP/figures" total_bytes)" 67108864
is "nobody ends" "$(ps_get 'name=a.processes.*.pid' | sort | xargs)" "$pids"
vgpu exec a -- "$GUESTS/memory" limit >"$TMP/out" 2>"$TMP/err"
is "a new process cannot begin" "$?$(cat "$TMP/err")" '3guest: cuCtxCreate_v2: 2'
ok "until the limit is raised" vgpu set a --gpu 0 --memory 8GiB
vgpu exec a -- "$GUESTS/memory" limit >"$TMP/out" 2>"$TMP/err"
at_most "then it gets what the others have left, bytes" "$(get "$TMP/out" used_bytes)" "$((8589934592 - used))"
at_least "all of it" "$(get "$TMP/out" used_bytes)" "$((8589934592 - used - 33554432))"

# --- exec ---

vgpu exec a -- sh -c 'echo "$1"; echo to stderr >&2; cat; exit 41' sh word \
    <"$TMP/figures" >"$TMP/out" 2>"$TMP/err"
is "exec: the command's status" $? 41
is "exec: its streams" "$(cat "$TMP/out" "$TMP/err")" "word
$(cat "$TMP/figures")
to stderr"
is "exec without --" "$(vgpu exec a echo joined)" joined
background_as b vgpu exec a -- "$GUESTS/memory" hold 50000000
ok "exec: a process that stays" wait_for 10 grep -q ready "$TMP/b.out"
is "ps lists it with its name and bytes" "$(ps_get "name=a.processes.pid=$PID_b.comm")" memory
bytes=$(ps_get "name=a.processes.pid=$PID_b.memory_bytes")
is "and the tenant's sum is that of its processes" "$(ps_get name=a.gpus.0.memory_used_bytes)" "$((used + bytes))"
vgpu exec a -- no-such-command 2>"$TMP/err"
is "exec: a command that is not there" $? 127
ok "exec: one line" one_line no-such-command
vgpu exec a 2>"$TMP/err"
is "exec: no command" $? 2
vgpu exec a -- vgpu run -- true 2>"$TMP/err"
is "no tenant within a tenant" $? 1
ok "one line" one_line 'inside a tenant'

# The tenant lives as long as any of its processes, whoever started it.
# shellcheck disable=SC2046 # numbers
kill -TERM $(ps_get 'name=a.processes.*.pid' | grep -vx "$PID_b") "$(pgrep -P "$PID_a" memory)" 2>/dev/null
ok "its command has ended" wait_for 5 is_gone "$PID_a"
ok "it lives on with the process that joined" is_tenant a
kill -TERM "$PID_b"
ok "and ends with it" wait_for 5 is_no_tenant a
ok "nothing is left" wait_for 5 has_no_folders
done_testing
