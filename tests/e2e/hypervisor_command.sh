#!/bin/sh
# What command.sh promises of a command under `vgpu run` holds where a daemon keeps the tenant.
# timeout: 90
VGPU_TEST_DAEMON=1 exec sh "$(dirname "$0")/command.sh" "$@"
