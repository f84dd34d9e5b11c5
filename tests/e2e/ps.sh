#!/bin/sh
# `vgpu ps` shows tenants as a table and as JSON; what was not measured is '-' in one and null in the other.
. "$(dirname "$0")/lib.sh"
on_simulator --gpus 2 "$@"

is "nobody: an empty list" "$(vgpu ps --json | json-get '#')" 0
is "nobody: no table" "$(vgpu ps)" ''
vgpu ps nobody >"$TMP/out" 2>"$TMP/err"
is "a name that is nobody's: exit status" $? 1
ok "one line that names it" sh -c 'test "$(wc -l <"$1")" = 1 && grep -q "^vgpu: .*nobody" "$1"' sh "$TMP/err"

background_as idle vgpu run --name idle --gpu 1 -- sleep 60
background_as hold vgpu run --name hold --gpu 0 --memory 2GiB --weight 3 --priority high -- \
    "$GUESTS/memory" hold 100000000
tenant busy --gpu 0 --compute 30% -- --kernel-us 100 --seconds 3600
ok "three tenants" wait_for 10 is_busy busy
ok "each is there" wait_for 10 is_busy hold
is_measured() { [ "$(ps_get name=busy.gpus.0.compute_used_percent | cut -d. -f1)" -gt 20 ]; }
ok "one is measured" wait_for 10 is_measured
vgpu ps --json >"$TMP/json"

# keys PATH: the names that an object has, in order. The document has one name a line.
keys() { sed -n "s/^$1\"\([a-z_]*\)\":.*/\1/p" "$TMP/json" | sort -u | xargs; }
is "in the order of their names" "$(get "$TMP/json" '*.name' | xargs)" 'busy hold idle'
is "keys of a tenant" "$(keys '    ')" 'engine gpus name processes state supervisor_pid'
is "keys of its processes and GPUs" "$(keys '        ')" \
    'comm compute_limit_percent compute_used_percent duty_percent index memory_bytes memory_limit_bytes memory_used_bytes pid priority slice_us uuid weight'

is "the idle one has no process on a GPU" "$(get "$TMP/json" 'name=idle.processes.#')" 0
for key in memory_limit_bytes compute_limit_percent compute_used_percent slice_us duty_percent; do
    is "of the idle one $key is null" "$(get "$TMP/json" "name=idle.gpus.0.$key")" null
done
is "its memory is known: none" "$(get "$TMP/json" name=idle.gpus.0.memory_used_bytes)" 0
is "its GPU" "$(get "$TMP/json" name=idle.gpus.0.index)" 1
is "the one with a limit" "$(get "$TMP/json" name=hold.gpus.0.memory_limit_bytes)" 2147483648
is "its weight and priority" "$(get "$TMP/json" name=hold.gpus.0.weight) $(get "$TMP/json" name=hold.gpus.0.priority)" '3 high'
is "its process is the command" "$(get "$TMP/json" name=hold.processes.0.comm)" memory
is "with the tenant's memory" "$(get "$TMP/json" name=hold.processes.0.memory_bytes)" \
    "$(get "$TMP/json" name=hold.gpus.0.memory_used_bytes)"
ok "its supervisor is a process" kill -0 "$(get "$TMP/json" name=hold.supervisor_pid)"
is "engine and state" "$(get "$TMP/json" name=busy.engine) $(get "$TMP/json" name=busy.state)" 'rm running'
near "what the capped one used, percent" "$(get "$TMP/json" name=busy.gpus.0.compute_used_percent)" 30 8
at_least "its slice, us" "$(get "$TMP/json" name=busy.gpus.0.slice_us)" 100

vgpu ps >"$TMP/text"
is "the table has a heading and three lines" "$(wc -l <"$TMP/text")" 4
is "what is not known is -" "$(awk '$1 == "idle" { print $3, $4, $5, $6, $7, $8 }' "$TMP/text")" '1 0 0MiB - - -'
is "limits are shown" "$(awk '$1 == "hold" { print $6, $9, $10 }' "$TMP/text")" '2048MiB 3 high'
is "and caps" "$(awk '$1 == "busy" { print $8 }' "$TMP/text")" 30.0%
is "one by its name" "$(vgpu ps hold | awk 'NR > 1 { print $1 }')" hold
is "two, in order" "$(vgpu ps --json idle busy | json-get '*.name' | xargs)" 'busy idle'
is "not in colour in a file" "$(grep -c "$(printf '\033')" "$TMP/text")" 0

supervisor=$(get "$TMP/json" name=idle.supervisor_pid)
for name in busy hold; do end $name; done
kill -TERM "$(pgrep -P "$PID_idle" -x sleep)"
ok "all end" wait_for 5 is_no_tenant idle
ok "supervisors, too" wait_for 5 is_gone "$supervisor"
done_testing
