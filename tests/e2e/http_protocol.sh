#!/bin/sh
# What the HTTP server answers to whom: methods, bodies, queries, callers. Needs no daemon and no GPU.
exec python3 "$(dirname "$0")/http_protocol.py"
