#!/bin/sh
# A tenant that has lost front and supervisor is adopted with the memory that its processes hold, and goes on.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

tenant a --memory 8GiB --compute 30% -- --kernel-us 100 --memory 2GiB --seconds 3600
wait_for 10 is_busy a
used=$(ps_get name=a.gpus.0.memory_used_bytes)
supervisor=$(ps_get name=a.supervisor_pid)
kill -KILL "$PID_a"
wait_for 5 is_gone "$PID_a"
kill -KILL "$supervisor"
wait_for 5 is_gone "$supervisor"
background_as adopter vgpu run --adopt a
ok "it has a supervisor again" wait_for 10 is_tenant a
holds_as_before() { [ "$(ps_get name=a.gpus.0.memory_used_bytes)" = "$used" ]; }
ok "its process has brought the ledger, with what it holds" wait_for 10 holds_as_before

# The next process gets the same ledger from the adopter.
background_as second vgpu exec a -- vgpu burn --kernel-us 100 --memory 2GiB --seconds 3600
holds_more() { [ "$(ps_get name=a.gpus.0.memory_used_bytes)" -ge $((used * 2)) ]; }
ok "a process that joins it is counted in that ledger" wait_for 10 holds_more
ok "and the tenant ends with its processes" end a
done_testing
