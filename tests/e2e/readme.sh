#!/bin/sh
# The commands that README.md shows work as they stand there.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

cd "$TMP" || exit 1
# What the README calls train.py and other.py: programs that run until they are ended.
for program in train.py other.py; do
    echo 'import signal; signal.pause()' >"$program"
done
# With a daemon, which the last of them need and the others find.
vgpu-hypervisor --api-listen-addr '' 2>daemon.log &
DAEMON=$!
wait_for 10 test -S "$VGPU_RUNTIME_DIR/api"
grep '^\$ vgpu ' "$ROOT/README.md" | sed 's/^\$ //; s/ *#.*//' >commands
at_least "commands in README.md" "$(wc -l <commands)" 5
while read -r command; do
    case $command in
    'vgpu run '*)
        sh -c "exec $command" >run.out 2>&1 &
        PIDS="$PIDS $!"
        name=$(echo "$command" | sed 's/.*--name \([^ ]*\).*/\1/')
        ok "$command" wait_for 10 is_tenant "$name"
        ;;
    *) ok "$command" sh -c "$command" ;;
    esac
done <commands
is "vgpu set had its effect: memory" "$(ps_get name=a.gpus.0.memory_limit_bytes)" 12884901888
is "vgpu set had its effect: compute" "$(ps_get name=a.gpus.0.compute_limit_percent)" 60.0
# The fronts pass the signal on; these programs have not touched a GPU, so that ps has no process of theirs.
# shellcheck disable=SC2086 # words
kill -TERM $PIDS
ok "both tenants end with their commands" wait_for 5 is_no_tenant a
ok "and leave nothing" wait_for 5 is_no_tenant b
kill -TERM $DAEMON
ok "the daemon ends with status 0" wait "$DAEMON"
done_testing
