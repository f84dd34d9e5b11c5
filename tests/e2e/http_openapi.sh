#!/bin/sh
# The HTTP server against docs/openapi.yaml. Needs no daemon and no GPU.
exec python3 "$(dirname "$0")/http_openapi.py"
