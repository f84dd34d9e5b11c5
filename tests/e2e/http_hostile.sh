#!/bin/sh
# Requests that a server has to refuse, clients that never come to an end, and a thousand of them. Needs no
# daemon and no GPU.
# timeout: 120
exec python3 "$(dirname "$0")/http_hostile.py"
