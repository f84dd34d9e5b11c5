#!/bin/sh
# The web view's files and /metrics, as the HTTP server answers with them. Needs no daemon and no GPU.
exec python3 "$(dirname "$0")/http_pages.py"
