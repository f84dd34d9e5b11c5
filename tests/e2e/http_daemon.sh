#!/bin/sh
# timeout: 120
# The daemon's own HTTP, as it is wired: the API against its description, metrics, the shared file of a pod, lines of
# usage, a limiter's commands, and its end.
. "$(dirname "$0")/lib.sh"
on_simulator --gpus 2 --gpu-memory 80GiB "$@"
VGPU_RUNTIME_DIR=$TMP/run PYTHONDONTWRITEBYTECODE=1 python3 "$ROOT/tests/e2e/http_daemon.py" "$TMP"
exit $?
