#!/bin/sh
# A front that is killed with SIGKILL leaves its command running, under its supervisor.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

survived=0
adopted=0
rounds=$(full 50 3)
for round in $(seq "$rounds"); do
    tenant a --compute 30% -- --kernel-us 100 --seconds 3600
    wait_for 10 is_busy a
    pid=$(ps_get name=a.processes.0.pid)
    supervisor=$(ps_get name=a.supervisor_pid)
    kill -KILL "$PID_a"
    wait_for 5 is_gone "$PID_a"
    if is_busy a && kill -0 "$pid" && [ "$(ps_get name=a.supervisor_pid)" = "$supervisor" ]; then
        survived=$((survived + 1))
    fi
    end a && adopted=$((adopted + 1))
done
is "the command of each of $rounds killed fronts runs on under its supervisor" "$survived" "$rounds"
is "and each tenant ends with its command" "$adopted" "$rounds"
done_testing
