#!/bin/sh
# A tenant on two GPUs with another tenant on each has its cap on each of them.
# timeout: 60
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator --gpus 2 "$@"

seconds=$(full 5 4)
# One tenant, two processes, each on a GPU of its own: the second joins the first.
# shellcheck disable=SC2016 # the inner shell's variables
background_as a vgpu run --name a --compute 30% -- sh -c '
    CUDA_VISIBLE_DEVICES=0 vgpu burn --json --kernel-us 100 --warm-up 2 --cool-down 2 --seconds "$1" \
        >"$2/a0.out" &
    CUDA_VISIBLE_DEVICES=1 vgpu burn --json --kernel-us 100 --warm-up 2 --cool-down 2 --seconds "$1" \
        >"$2/a1.out"
    wait' sh "$seconds" "$TMP"
# shellcheck disable=SC2086 # options are words
tenant free0 --gpu 0 -- --kernel-us 100 $TOGETHER --seconds "$seconds"
# shellcheck disable=SC2086
tenant capped1 --gpu 1 --compute 40% -- --kernel-us 100 $TOGETHER --seconds "$seconds"
finish a free0 capped1
near "the cap on the first GPU, beside a free tenant" "$(share a0)" 30 1
at_least "the sum on the first GPU" "$(calc "$(share a0) + $(share free0)")" 95
near "the cap on the second GPU, beside a capped tenant" "$(share a1)" 30 1
near "the other tenant's cap on the second GPU" "$(share capped1)" 40 1
done_testing
