#!/bin/sh
# The old system's routes: who is refused, what is answered, streams of commands. Needs no daemon and no GPU.
exec python3 "$(dirname "$0")/http_legacy.py"
