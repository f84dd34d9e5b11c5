#!/bin/sh
# Without a supervisor: `--on-loss open` runs on with the memory limit alone, `closed` ends the processes that
# have channels, softly and then hard. One that never got a region is unlimited, or gets no memory.
# timeout: 120
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

# Loses front and supervisor of a tenant at the same instant.
lose() {
    eval "lose_front=\$PID_$1"
    kill -KILL "$lose_front" "$(ps_get "name=$1.supervisor_pid")"
}
# has_ended PID: it is gone, or waits for whoever inherited it to notice.
has_ended() { [ ! -e "/proc/$1/stat" ] || grep -q ') Z ' "/proc/$1/stat"; }
is_uncapped() { tail -n 1 "$TMP/trace" | awk '{ ok = $2 > 90 } END { exit !ok }'; }
is_capped() { tail -n 1 "$TMP/trace" | awk '{ ok = $2 < 30 } END { exit !ok }'; }

# --- open ---

mkfifo "$TMP/go"
background_as a vgpu run --name a --memory 2GiB --compute 20% -- sh -c '
    vgpu burn --kernel-us 100 --warm-up 1 --seconds 3600 --trace "$1/trace" &
    "$2/memory" later <"$1/go" & exec sleep 60' sh "$TMP" "$GUESTS"
exec 3>"$TMP/go"
ok "open: a tenant with two processes" wait_for 10 grep -q ready "$TMP/a.out"
ok "it is capped" wait_for 10 is_capped
pids=$(ps_get 'name=a.processes.*.pid')
sleep_pid=$(pgrep -P "$PID_a" -x sleep)
lose a
ok "without supervisor the cap is lifted" wait_for 5 is_uncapped
echo go >&3
ok "a process that had its region goes on" wait_for 5 grep -q total_bytes "$TMP/a.out"
grep total_bytes "$TMP/a.out" >"$TMP/figures"
is "its memory limit stays" "$(get "$TMP/figures" total_bytes)" 2147483648
at_most "it got no more than that, blocks of 16 MiB" "$(get "$TMP/figures" blocks)" 128
# shellcheck disable=SC2086 # numbers
ok "all processes live" kill -0 $pids "$sleep_pid"
ok "it is adopted" vgpu run --adopt a
ok "and the cap is back" wait_for 5 is_capped
# shellcheck disable=SC2086
kill -TERM $pids "$sleep_pid"
ok "it ends" wait_for 5 is_no_tenant a
exec 3>&-

# late NAME OPTION...: a tenant whose process meets the driver after front and supervisor have gone.
late() {
    mkfifo "$TMP/$1.go"
    exec 3<>"$TMP/$1.go" # a writer is there: nobody waits for one
    # shellcheck disable=SC2016 # the inner shell's variables
    background_as "$@" -- sh -c 'read -r line <"$1"; exec "$0" limit' "$GUESTS/memory" "$TMP/$1.go"
    wait_for 10 is_tenant "$1"
    eval "late_front=\$PID_$1"
    wait_for 5 pgrep -P "$late_front" -x sh
    late_pid=$(pgrep -P "$late_front" -x sh)
    lose "$1"
    echo go >&3
    wait_for 10 has_ended "$late_pid"
    exec 3>&- # not before: where it has not opened the FIFO by now, the word is kept by this descriptor alone
}
late open vgpu run --name open --memory 2GiB --on-loss open
at_least "open: a process that never got a region sees the whole GPU, bytes" \
    "$(get "$TMP/open.out" total_bytes)" 80000000000
late closed vgpu run --name closed --memory 2GiB --on-loss closed
is "closed: it is refused its memory as the driver would" "$(cat "$TMP/closed.err")" \
    'guest: cuCtxCreate_v2: 2'

# --- closed ---

now_ms() { date +%s%3N; }
background_as a vgpu run --name a --compute 20% --on-loss closed -- \
    vgpu burn --kernel-us 100 --warm-up 1 --seconds 3600 --trace "$TMP/trace2"
ok "closed: a tenant" wait_for 10 is_busy a
pid=$(ps_get name=a.processes.0.pid)
supervisor=$(ps_get name=a.supervisor_pid)
kill -KILL "$supervisor"
has_other_supervisor() {
    now=$(ps_get name=a.supervisor_pid)
    [ "$now" != missing ] && [ "$now" != null ] && [ "$now" != "$supervisor" ]
}
ok "a supervisor that is replaced in time" wait_for 5 has_other_supervisor
wait_for 10 test -s "$TMP/trace2"
lines=$(wc -l <"$TMP/trace2")
has_gone_on() { [ "$(wc -l <"$TMP/trace2")" -gt $((lines + 20)) ]; }
ok "ends nobody" wait_for 10 has_gone_on
lost=$(now_ms)
lose a
wait_for 5 has_ended "$pid"
took=$(($(now_ms) - lost))
at_least "one that is not ends the process after a second's grace, ms" "$took" 900
at_most "and not much later, ms" "$took" 3000
ok "it worked on until then" awk 'END { exit !($2 > 50) }' "$TMP/trace2"
ok "nothing is left of the tenant" wait_for 5 is_no_tenant a

# shellcheck disable=SC2016
background_as a vgpu run --name a --compute 20% --on-loss closed -- \
    sh -c 'trap "" TERM; exec "$0" hold 100000000' "$GUESTS/memory"
ok "closed: a process that ignores SIGTERM" wait_for 10 grep -q ready "$TMP/a.out"
pid=$(ps_get name=a.processes.0.pid)
lost=$(now_ms)
lose a
wait_for 15 has_ended "$pid"
took=$(($(now_ms) - lost))
at_least "is killed five seconds after it, ms" "$took" 5900
at_most "and not much later, ms" "$took" 9000
is "ps tells of nobody" "$(vgpu ps --json | json-get '#')" 0
done_testing
