#!/bin/sh
# `--gpu` chooses GPUs as NVML counts them, by index or UUID; the others are not there for the tenant, neither
# for CUDA nor at the resource manager. Sizes and percents may be written as people do.
. "$(dirname "$0")/lib.sh"
on_simulator --gpus 3 --gpu-memory 10GiB "$@"

# shown JSON-PATH OPTION...: what ps has at the path of a tenant with the options.
shown() {
    shown_path=$1
    shift
    vgpu run --name shown "$@" -- sh -c 'vgpu ps --json | json-get "$1"' sh "name=shown.$shown_path" |
        xargs
}
# shellcheck disable=SC2016 # the tenant's variable
visible() { vgpu run "$@" -- sh -c 'echo "${CUDA_VISIBLE_DEVICES-unset}"'; }

vgpu run --name all -- sh -c 'vgpu ps --json' >"$TMP/all"
is "without --gpu a tenant has all" "$(get "$TMP/all" '0.gpus.*.index' | xargs)" '0 1 2'
uuid0=$(get "$TMP/all" 0.gpus.0.uuid)
uuid1=$(get "$TMP/all" 0.gpus.1.uuid)
uuid2=$(get "$TMP/all" 0.gpus.2.uuid)
is "by index" "$(shown 'gpus.*.uuid' --gpu 1)" "$uuid1"
is "by UUID" "$(shown 'gpus.*.index' --gpu "$uuid2")" 2
is "several, in any order, twice, both ways" "$(shown 'gpus.*.index' --gpu 2 --gpu "$uuid0" --gpu 2)" '0 2'
is "CUDA is told by UUID" "$(visible --gpu 2 --gpu "$uuid0")" "$uuid0,$uuid2"
is "and not at all without --gpu" "$(visible)" unset
is "what it was told before is kept" "$(CUDA_VISIBLE_DEVICES=1 visible)" 1
is "but gives way" "$(CUDA_VISIBLE_DEVICES=1 visible --gpu 2)" "$uuid2"

# A program that does not heed CUDA_VISIBLE_DEVICES.
background_as a vgpu run --name a --gpu 1 -- env -u CUDA_VISIBLE_DEVICES "$GUESTS/memory" hold 100000000
ok "a program that sees all GPUs" wait_for 10 grep -q ready "$TMP/a.out"
at_least "has its memory on the GPU that it may use, bytes" "$(ps_get name=a.gpus.0.memory_used_bytes)" 100000000
is "which is GPU 1" "$(ps_get name=a.gpus.0.index)" 1
pid=$(ps_get name=a.processes.0.pid)
end a
ok "it has ended" wait_for 5 is_gone "$pid"
CUDA_VISIBLE_DEVICES=$uuid0 "$GUESTS/memory" start
is "GPU 0 can be used from outside" $? 0
vgpu run --gpu 1 -- env CUDA_VISIBLE_DEVICES="$uuid0" "$GUESTS/memory" start >"$TMP/out" 2>"$TMP/err"
is "and not by a tenant that does not have it" $? 3
vgpu run --name a --gpu 1 -- sh -c 'vgpu exec a -- sh -c "echo \$CUDA_VISIBLE_DEVICES"' >"$TMP/out" 2>"$TMP/err"
is "a tenant's tenant-mate sees the same" "$(cat "$TMP/out" "$TMP/err")" "$uuid1"

# --- sizes and percents ---

gib=1073741824
for pair in 8GiB=$((8 * gib)) 512MiB=536870912 8G=$((8 * gib)) 8GB=8000000000 40%=$((10 * gib * 4 / 10)) \
    1.5GiB=1610612736 100%=$((10 * gib)) 3GB=3000000000 12.5%=$((10 * gib / 8)) 262144KiB=268435456; do
    got=$(shown gpus.0.memory_limit_bytes --memory "${pair%=*}")
    # A part of the card is rounded to what can be allocated.
    near "--memory ${pair%=*}" "$got" "${pair#*=}" "$(case $pair in *%=*) echo 100000 ;; *) echo 0 ;; esac)"
done
for pair in 30%=30.0 12.5=12.5 12.5%=12.5 100=null 0.1%=0.1 99.9=99.9; do
    is "--compute ${pair%=*}" "$(shown gpus.0.compute_limit_percent --compute "${pair%=*}")" "${pair#*=}"
done
is "each GPU has the same" "$(shown 'gpus.*.memory_limit_bytes' --memory 2GiB)" '2147483648 2147483648 2147483648'
for size in 11GiB 10241MiB 101% 0% 0; do
    vgpu run --memory "$size" -- true >"$TMP/out" 2>"$TMP/err"
    is "--memory $size of a card with 10GiB" "$?.$(wc -l <"$TMP/err")" 2.1
done
done_testing
