#!/bin/sh
# timeout: 180
# The web view in a browser, served by the HTTP server itself over made-up tenants. Needs no daemon and no GPU.
. "$(dirname "$0")/lib.sh"
plain_only

if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null; then
    skip_tool "the web view in a browser: there is no chromium (make deps DEV=1)"
    done_testing
fi
TMPDIR=$TMP PYTHONDONTWRITEBYTECODE=1 python3 "$ROOT/tests/e2e/http_web_view.py"
exit $?
