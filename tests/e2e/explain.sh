#!/bin/sh
# vgpu explain says of busy tenants what was set, what follows from it and what is measured, as numbers and in
# sentences; and what is wrong where there is nothing to explain.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

is "a name is needed" "$(vgpu explain 2>&1; echo $?)" "vgpu: explain: a tenant's name is needed
2"
is "one is enough" "$(vgpu explain a b >/dev/null 2>&1; echo $?)" 2
is "it has to be a name" "$(vgpu explain ../a >/dev/null 2>&1; echo $?)" 2
is "of a tenant that is there" "$(vgpu explain nobody --json 2>&1; echo $?)" \
    "vgpu: explain: there is no tenant 'nobody' (vgpu ps lists them)
1"

# --- a capped tenant beside two that share what it leaves ---

neighbour capped --compute 30% -- --kernel-us 100
neighbour three --weight 3 -- --kernel-us 100
neighbour one -- --kernel-us 100
# said NAME KEY: what is explained of the tenant's GPU.
said() { vgpu explain "$1" --json 2>/dev/null | json-get "gpus.0.$2" 2>/dev/null || echo missing; }
is_said() { [ "$(said "$1" "$2")" = "$3" ]; }
# comes SENTENCE NAME KEY VALUE: it is said within seconds: plans follow what is seen.
comes() { ok "$1: $4" wait_for 10 is_said "$2" "$3" "$4"; }
is_near() { awk -v a="$(said "$1" "$2")" -v b="$3" -v t="$4" 'BEGIN { exit !(a ~ /^[0-9.]+$/ && a - b <= t && b - a <= t) }'; }
for tenant in capped three one; do
    comes "$tenant knows of all" "$tenant" tenants 3
    comes "$tenant is at work" "$tenant" is_active true
done
is "its cap is what was set" "$(said capped compute_limit_percent)" 30.0
comes "it is in force as a whole" capped compute_limit_in_force_percent 30.0
comes "and entitles to that" capped entitled_percent 30.0
comes "three parts of what it leaves go to the weight of 3" three entitled_percent 52.5
comes "and one part to the weight of 1" one entitled_percent 17.5
is "who has no cap has no budget" "$(said three compute_limit_percent) $(said three window_ns) $(said three balance_ns)" \
    'null null null'
is "what it was given is said of it" "$(said three weight) $(said three priority)" '3 normal'
ok "what the capped one used is its cap" wait_for 15 is_near capped compute_used_percent 30 5
at_least "its channels were on for as long at least, percent" "$(said capped duty_percent)" 25
at_most "and switched off in between, percent" "$(said capped duty_percent)" 97
is "those of one without a cap are never off" "$(said three duty_percent)" 100.0
near "the slices of the others are by weight: one third, us" "$(said one slice_us)" \
    "$(calc "$(said three slice_us) / 3")" 1000
is "its neighbours are those that there are" "$(said capped 'neighbours.*.name' | sort | xargs)" 'one three'
is "with what was set for them" "$(said capped neighbours.name=three.weight) $(said one neighbours.name=capped.compute_limit_percent)" \
    '3 30.0'

vgpu explain capped >"$TMP/text"
ok "the same in sentences" grep -q 'asked for at most 30 % and is entitled to 30 %' "$TMP/text"
is "with a line for each neighbour" "$(awk '/^NEIGHBOUR/ { is_table = 1; next } is_table { print $1 }' "$TMP/text" | sort | xargs)" \
    'one three'

# --- caps above the whole ---

vgpu set capped --compute 80%
vgpu set one --compute 60% --priority low
is "a new cap is said at once" "$(said capped compute_limit_percent)" 80.0
comes "of which less is in force where the sum is too much" capped compute_limit_in_force_percent 50.0
comes "and for the other as well" one compute_limit_in_force_percent 50.0
comes "nothing is left for who has none" three entitled_percent 0.0
is "the priority is said" "$(said one priority)" low
comes "and its neighbour knows" capped neighbours.name=one.priority low
vgpu set capped --suspend
comes "who is suspended is said to be" capped is_suspended true
for tenant in capped three one; do
    [ $tenant != capped ] || vgpu set capped --resume
    end $tenant
done
done_testing
