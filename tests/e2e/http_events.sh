#!/bin/sh
# Server-sent events: what a reader gets, from where it reads on, and readers that do not read. Needs no
# daemon and no GPU.
# timeout: 120
exec python3 "$(dirname "$0")/http_events.py"
