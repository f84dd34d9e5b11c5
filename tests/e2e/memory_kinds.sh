#!/bin/sh
# What is counted at the resource manager's boundary is what NVML says the process has, after every kind of
# allocation and free.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

mkfifo "$TMP/steps"
background_from "$TMP/steps" a vgpu run --name a --memory 8GiB -- "$GUESTS/memory" kinds
exec 3>"$TMP/steps"
lines=0
has_line() { [ "$(wc -l <"$TMP/a.out")" -gt "$lines" ]; }
while wait_for 10 has_line; do
    lines=$((lines + 1))
    line=$(sed -n "${lines}p" "$TMP/a.out")
    is "after '${line% *}' both say the same" "$(ps_get name=a.processes.0.memory_bytes)" "${line##* }"
    echo go >&3
    [ "${line% *}" != freed ] || break
done
exec 3>&-
is "each step was taken" "$lines" 10
finish a
done_testing
