#!/bin/sh
# What vgpu says and does on a machine with something wrong: GPUs that are lost or missing, a scheduler that
# refuses or ignores what it is told, slow calls, no NVML. Nothing was probed there before.
# timeout: 120
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

# on FAULT... -- SCRIPT [ARGUMENT...]: the script, on a machine with the faults. It finds $TMP in $1.
on() {
    options=
    while [ "$1" != -- ]; do
        options="$options $1"
        shift
    done
    shift
    script=$1
    shift
    # shellcheck disable=SC2086 # options are words
    vgpu sim $options -- sh -c "$script" sh "$TMP" "$@" >"$TMP/out" 2>"$TMP/err"
}
one_line() { [ "$(wc -l <"$1")" -eq 1 ] && grep -q "^vgpu: .*$2" "$1"; }

# burn_there FAULT ENGINE WARNINGS: a capped tenant on a machine that was never tried ends well, is shown with
# the engine and warned about as often.
burn_there() {
    # shellcheck disable=SC2016 # the inner shell's variables
    on --fault "$1" -- '
        vgpu run --name a --compute 30% --memory 2GiB -- vgpu burn --json --seconds 3600 2>"$1/warned" &
        for i in $(seq 500); do
            engine=$(vgpu ps --json | json-get name=a.engine)
            bytes=$(vgpu ps --json | json-get name=a.gpus.0.memory_used_bytes)
            [ "$engine $((bytes > 0))" != "$2 1" ] || break
            sleep 0.02
        done
        vgpu ps --json >"$1/json"; vgpu ps >"$1/text"
        kill $(json-get "name=a.processes.*.pid" <"$1/json"); wait; ls "$VGPU_RUNTIME_DIR" >"$1/files"' "$2"
    is "$1: engine" "$(get "$TMP/json" name=a.engine)" "$2"
    is "$1: the memory limit holds" "$(get "$TMP/json" name=a.gpus.0.memory_limit_bytes)" 2147483648
    is "$1: warnings" "$(grep -c . "$TMP/warned")" "$3"
    is "$1: nothing was tried that a verdict would be kept of" "$(cat "$TMP/files")" tenants
}
burn_there disable-refused memory-only 1
ok "the warning says what holds and where to look" one_line "$TMP/warned" 'memory limit holds.*vgpu doctor'
ok "ps says it in words" grep -q 'memory limit only' "$TMP/text"
burn_there disable-inert memory-only 1
burn_there slice-inert rm 0
burn_there slow-controls rm 0
burn_there no-records rm 0
is "no-records: what is not measured is not known" \
    "$(get "$TMP/json" name=a.gpus.0.compute_used_percent)" null
burn_there no-nvml rm 0

off=$(bar 4 15)
measure() {
    on --fault slow-controls -- 'vgpu run --compute 30% -- vgpu burn --seconds 6 --warm-up 1 --json >"$1/burn"'
    got=$(get "$TMP/burn" share_percent)
    [ "$(calc "(30 - $off <= $got && $got <= 30 + $off)")" = 1 ]
}
up_to 3 measure
near "slow controls: a cap of 30 % gets, percent" "$got" 30 "$off"

# shellcheck disable=SC2016
on --fault no-records -- '
    vgpu burn --kernel-us 100 --seconds 0 --save-rate "$1/rate"
    for weight in 1 3; do
        vgpu run --weight "$weight" -- vgpu burn --json --rate "$1/rate" --warm-up 2 --cool-down 2 \
            --seconds 3 >"$1/w$weight" &
    done
    wait'
near "no-records: slices need none, weights 1 and 3 hold, percent of their sum" "$(calc \
    "100 * $(get "$TMP/w1" share_percent) / ($(get "$TMP/w1" share_percent) + $(get "$TMP/w3" share_percent))")" \
    25 2

# --- the verdict ---

# shellcheck disable=SC2016
on --gpus 2 --fault disable-refused -- '
    vgpu doctor >"$1/doctor" 2>&1
    vgpu run --compute 30% -- true 2>"$1/auto"; echo $? >"$1/status.auto"
    vgpu run --engine rm --compute 30% -- true 2>"$1/rm"; echo $? >"$1/status.rm"
    vgpu run --name a -- sleep 60 2>"$1/a" &
    while [ "$(vgpu ps --json | json-get name=a.name)" != a ]; do sleep 0.02; done
    vgpu ps --json >"$1/json"; kill $!; wait
    set -- "$1" "$VGPU_RUNTIME_DIR"/verdict-*
    echo $(($# - 1)) >"$1/count"
    cp "$2" "$1/verdict"
    rm "$3"; vgpu run --gpu 1 --engine rm -- true; echo $? >"$1/status.other"
    for word in 1 2 3; do
        awk -v w=$word "{ \$w = \"other\"; print }" "$1/verdict" >"$2"
        vgpu run --engine rm --gpu 0 -- true; echo $?
    done >"$1/status.changed"'
is "a verdict is kept for each GPU" "$(cat "$TMP/count")" 2
is "with it, --engine auto runs" "$(cat "$TMP/status.auto")" 0
ok "with one warning" test "$(wc -l <"$TMP/auto")" = 1
is "and is shown as memory-only" "$(get "$TMP/json" name=a.engine)" memory-only
is "--engine rm does not run" "$(cat "$TMP/status.rm")" 1
ok "and says why in one line" one_line "$TMP/rm" 'scheduler.*does not obey'
is "a GPU without verdict is not concerned" "$(cat "$TMP/status.other")" 0
is "nor one with another UUID, driver or start of the machine" "$(xargs <"$TMP/status.changed")" '0 0 0'

# --- GPUs that are lost or missing ---

# shellcheck disable=SC2016
on --fault gpu-lost -- '
    vgpu run -- true 2>"$1/run"; echo $? >"$1/status"
    vgpu doctor >"$1/doctor" 2>&1; echo $? >>"$1/status"
    vgpu burn --seconds 0.1 2>"$1/burn"; echo $? >>"$1/status"
    vgpu ps --json | json-get "#" >>"$1/status"'
is "the only GPU is lost: run, doctor and burn fail, ps lists nobody" "$(xargs <"$TMP/status")" '1 1 1 0'
ok "run says so in one line, with a way out" one_line "$TMP/run" 'no GPU that answers.*vgpu sim'
ok "doctor says so" grep -q '^does not .*no GPU that answers' "$TMP/doctor"
ok "burn says so in one line" one_line "$TMP/burn" NO_DEVICE

# shellcheck disable=SC2016
on --gpus 3 --fault gpu-lost=1 -- '
    vgpu run --gpu 2 --name a -- sleep 60 &
    while [ "$(vgpu ps --json | json-get name=a.name)" != a ]; do sleep 0.02; done
    vgpu ps --json >"$1/json"; kill $!; wait
    vgpu run --gpu 1 -- true 2>"$1/run"; echo $? >"$1/status"
    vgpu run -- vgpu burn --seconds 0.1 >"$1/burn"; echo $? >>"$1/status"
    vgpu doctor >"$1/doctor" 2>&1; echo $? >>"$1/status"'
is "one of three is lost: the others keep their numbers" "$(get "$TMP/json" name=a.gpus.0.index)" 2
is "it cannot be had, the others can, doctor fails" "$(xargs <"$TMP/status")" '2 0 1'
ok "run says which there are" one_line "$TMP/run" "'1'.*0, 2"
ok "doctor says that one does not answer" grep -q '1 of 3 GPUs do not answer' "$TMP/doctor"

# shellcheck disable=SC2016
on --gpus 2 --fault gpu-missing=0 -- '
    vgpu run --gpu 1 -- true 2>"$1/run"; echo $? >"$1/status"
    vgpu run --gpu 0 --compute 50% -- vgpu burn --seconds 0.1 >"$1/burn"; echo $? >>"$1/status"'
is "one of two is missing: the other one is GPU 0" "$(xargs <"$TMP/status")" '2 0'

# A GPU is lost while a tenant has memory on it and another tenant works on the other.
# shellcheck disable=SC2016
on --gpus 2 -- '
    figure() { vgpu ps --json | json-get "name=$1.gpus.0.compute_used_percent"; }
    pids() { vgpu ps --json | json-get "name=$1.processes.*.pid"; }
    vgpu run --name a --gpu 0 --compute 30% -- "$2/memory" hold 100000000 >"$1/a" 2>"$1/a.err" &
    vgpu run --name b --gpu 1 --compute 30% -- vgpu burn --seconds 3600 --trace "$1/trace" >"$1/b" &
    for i in $(seq 250); do [ "$(figure a)" != 0.0 ] || break; sleep 0.02; done
    figure a >"$1/before"
    "$VGPU_STAGE/lib/vgpu/sim/vgpu-sim" --set-fault gpu-lost=0
    for i in $(seq 250); do [ "$(figure a)" != null ] || break; sleep 0.02; done
    vgpu ps --json >"$1/json"
    lines=$(wc -l <"$1/trace")
    for i in $(seq 250); do [ "$(wc -l <"$1/trace")" -lt $((lines + 5)) ] || break; sleep 0.02; done
    tail -n 5 "$1/trace" >"$1/last"
    kill $(pids a) $(pids b); wait; vgpu ps --json | json-get "#" >"$1/left"' "$GUESTS"
is "what a tenant used of a GPU is shown" "$(cat "$TMP/before")" 0.0
is "and not known once the GPU is lost" "$(get "$TMP/json" name=a.gpus.0.compute_used_percent)" null
is "its tenant is there until its process ends" "$(get "$TMP/json" name=a.state)" running
near "the tenant of the other GPU has its share" "$(awk '{ s += $2 } END { print s / NR }' "$TMP/last")" 30 4
is "both end" "$(cat "$TMP/left")" 0
is "without a word" "$(cat "$TMP/a.err" "$TMP/err")" ''
done_testing
