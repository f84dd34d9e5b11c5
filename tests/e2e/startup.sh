#!/bin/sh
# What a tenant pays at start: next to nothing for a program that never touches the GPU, little for one
# that does.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"
bench=$(dirname "$VGPU_STAGE")/../bench/startup
[ -x "$bench" ] || { echo "1..0 # skip no benchmarks in this build"; exit 77; }

"$bench" 200 env /bin/true -- env LD_PRELOAD="$LIB/libcuda_limiter.so" /bin/true >"$TMP/true"
at_most "LD_PRELOAD=libcuda_limiter.so /bin/true over plain, median of 200, us" \
    "$(get "$TMP/true" cost_us)" 100
if [ "${VGPU_TEST_SANITIZED:-}" = 1 ]; then
    skip "a CUDA program's start: sanitizers slow vgpu itself down"
    done_testing
fi
"$bench" "$(full 100 30)" "$GUESTS/memory" start -- vgpu run -- "$GUESTS/memory" start >"$TMP/run"
# The figure is the benchmark's to publish; what a test has to notice is something that waits, such as a
# grace period of RCU (12 to 30 ms), also on a machine that is busy with other things.
at_most "a CUDA program's start under vgpu run over without, median, us" "$(get "$TMP/run" cost_us)" 9000
done_testing
