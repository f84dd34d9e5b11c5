#!/bin/sh
# timeout: 180
# The web view in a browser: what it shows, that it works by keyboard, at phone width and for screen readers,
# and that nothing in a name becomes markup. Against a pretend daemon, or the real one at VGPU_WEB_URL
# (with VGPU_WEB_TOKEN, where it wants a token); VGPU_WEB_PICTURES is a folder for pictures of the page.
. "$(dirname "$0")/lib.sh"
plain_only

if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null; then
    skip_tool "the web view in a browser: there is no chromium (make deps DEV=1)"
    done_testing
fi
# Chromium's profile and sockets lie in the folder that is removed at the end, whatever happens.
TMPDIR=$TMP PYTHONDONTWRITEBYTECODE=1 python3 "$ROOT/tests/e2e/web/web_view.py" "$ROOT/src/hypervisor/web"
exit $?
