#!/bin/sh
# vgpu events prints what the daemon tells, a line an event, and comes back to a daemon that was started again.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"
SERVER=$ROOT/tests/e2e/events_server.py
API=$VGPU_RUNTIME_DIR/api
export TZ=UTC

vgpu events >"$TMP/out" 2>"$TMP/err"
is "without a daemon it fails" $? 1
is "and prints nothing" "$(cat "$TMP/out")" ''
ok "but what is needed" grep -q 'events need vgpu-hypervisor' "$TMP/err"
is "on one line" "$(wc -l <"$TMP/err")" 1

head="HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
# event NUMBER KIND TENANT TEXT: as a chunk.
event() {
    body="id: $1\\nevent: $2\\ndata: {\"number\":$1,\"unix_ms\":1700000000000,\"kind\":\"$2\",\"tenant\":\"$3\",\"pid\":null,\"text\":\"$4\"}\\n\\n"
    # Two characters of each of the five line feeds are one byte.
    printf '%x\\r\\n%s\\r\\n' $((${#body} - 4)) "$body"
}
end="0\\r\\n\\r\\n"
# serve ANSWER...: the stand-in, listening.
serve() {
    printf "b'%s'\n" "$@" >"$TMP/script"
    rm -f "$API.requests"
    background python3 "$SERVER" "$API" "$TMP/script"
    wait_for 10 test -S "$API"
}

serve "$head$(event 1 tenant-created a 'it was made')$(event 2 tenant-ended a 'it has ended')$end"
is "events end with the newest" "$(vgpu events; echo $?)" \
    "2023-11-14 22:13:20  tenant-created        a                     it was made
2023-11-14 22:13:20  tenant-ended          a                     it has ended
0"
ok "it asks for those there are" grep -q '^GET /api/v1/events?follow=false&after=0 HTTP/1.1' "$API.requests"

serve "$head$(event 1 tenant-created a 'it was made')$end"
vgpu events --json >"$TMP/json"
is "as JSON" "$(get "$TMP/json" kind) $(get "$TMP/json" tenant)" 'tenant-created a'

# The first connection breaks off within an answer; what comes next is asked for by the last number seen.
serve "$head$(event 7 tenant-created a one)" "$head$(event 8 tenant-changed a two)"
background_as follow vgpu events --follow
# end_follower: it takes no answer that is for the next one, and nothing that it wrote is taken for that one's.
end_follower() {
    kill "$PID_follow"
    wait "$PID_follow" 2>/dev/null
    forget_pid "$PID_follow"
    rm "$TMP/follow.out" "$TMP/follow.err"
}
has_both() { [ "$(grep -c 'tenant-created.*one\|tenant-changed.*two' "$TMP/follow.out")" = 2 ]; }
ok "it follows into a daemon that was started again" wait_for 10 has_both
ok "where it goes on behind what it has" grep -q '^Last-Event-ID: 7' "$API.requests"
ok "and says so" grep -q 'vgpu: events: vgpu-hypervisor is back' "$TMP/follow.err"
end_follower

# Sent away without an event: what it asked for is not kept any more, and is asked for no longer.
serve "$head$(event 7 tenant-created a one)" "$head$end" "$head$(event 4000 tenant-changed a two)"
background_as follow vgpu events --follow
ok "events that are lost do not keep it from the next" wait_for 10 has_both
ok "and it says so" grep -q 'some of them are lost' "$TMP/follow.err"
is "asking without a number" "$(grep -c '^Last-Event-ID' "$API.requests")" 1
end_follower

# A reader that has had enough: nothing is said.
serve "$head$(event 1 tenant-created a one)$(event 2 tenant-ended a two)"
vgpu events --follow 2>"$TMP/err" | head -n 1 >"$TMP/first"
is "a reader that goes away ends it" "$(wc -l <"$TMP/first")" 1
is "quietly" "$(grep -v 'the connection\|is back' "$TMP/err")" ''

serve "HTTP/1.1 401 Unauthorized\\r\\nContent-Length: 36\\r\\n\\r\\n{\"status\":401,\"detail\":\"no token..\"}"
is "a refusal is the daemon's" "$(vgpu events 2>&1; echo $?)" \
    'vgpu: events: vgpu-hypervisor refuses: no token.. (status 401)
1'
serve "HTTP/1.1 401 Unauthorized\\r\\nContent-Length: 37\\r\\n\\r\\n{\\\"status\\\":401,\\\"detail\\\":\\\"\\\\u001b[2Jno\\\"}"
is "without what a terminal would obey" "$(vgpu events 2>&1)" 'vgpu: events: vgpu-hypervisor refuses: ?[2Jno (status 401)'
serve "HTTP/1.1 200 OK\\r\\nContent-Type: text/html\\r\\nContent-Length: 2\\r\\n\\r\\nhi"
ok "another server is told from it" sh -c 'vgpu events 2>&1 | grep -q "is not vgpu-hypervisor"'
serve "$head""5\\r\\nhello world"
ok "nonsense is an error" sh -c 'vgpu events 2>&1 | grep -q "^vgpu: events: "'

serve "$head$(event 1 tenant-created a one)" "$head$(event 2 tenant-created a two)"
timeout 20 vgpu events --follow >/dev/full 2>"$TMP/err"
is "what cannot be written ends it, with the reason" "$? $(cat "$TMP/err")" \
    '1 vgpu: events: write an event: no space left on device'
vgpu events >/dev/null 2>&1 # the stand-in's second answer

# --- where the daemon is looked for ---

API=$TMP/elsewhere
serve "$head$(event 1 tenant-created a 'it was made')$end"
is "at a socket that is named" "$(VGPU_API_SOCKET=$API vgpu events --json | json-get text)" 'it was made'
answer="$head$(event 1 tenant-created a 'it was made')$end"
# A machine's /run of its own.
cat >"$TMP/system" <<'END'
mount -t tmpfs none /run || exit
mkdir -m 711 /run/vgpu
printf "b'%s'\n" "$3" >"$1/script"
umask 0
python3 "$2" /run/vgpu/api "$1/script" &
until [ -S /run/vgpu/api ]; do :; done
unset VGPU_RUNTIME_DIR XDG_RUNTIME_DIR
setpriv --reuid 65534 --regid 65534 --clear-groups -- vgpu events --json || kill $!
wait
END
if unshare -m true 2>/dev/null && setpriv --reuid 65534 --regid 65534 --clear-groups -- test -x "$VGPU_STAGE/bin/vgpu"; then
    unshare -m sh "$TMP/system" "$TMP" "$SERVER" "$answer" >"$TMP/json" 2>"$TMP/err"
    is "the machine's daemon by any user" "$(get "$TMP/json" text)$(cat "$TMP/err")" 'it was made'
    ok "who gets no directory by that" test ! -e /tmp/vgpu-65534
else
    skip "the machine's daemon by any user"
    skip "who gets no directory by that"
fi

serve "$head$end"
VGPU_API_SOCKET=$API vgpu events --samples 0.25 >"$TMP/out" 2>&1 &
PIDS="$PIDS $!"
ok "samples are asked for, as often as the API takes" wait_for 10 grep -q 'samples_hz=0.250 HTTP' "$API.requests"
kill $!
for hz in 0.09 10.1 x -1; do
    is "--samples $hz is refused" "$(vgpu events --samples "$hz" >/dev/null 2>&1; echo $?)" 2
done
is "samples have a frequency" "$(vgpu events --samples 0 >/dev/null 2>&1; echo $?)" 2
done_testing
