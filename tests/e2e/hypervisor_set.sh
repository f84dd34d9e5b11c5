#!/bin/sh
# A cap that is changed through the daemon, with `vgpu set` or over HTTP, is in force at once.
# timeout: 120
VGPU_TEST_DAEMON=1 exec sh "$(dirname "$0")/set.sh" "$@"
