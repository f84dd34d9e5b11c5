#!/bin/sh
# The wall clock of the daemon and of all supervisors goes back and forward by an hour: shares, caps and what is
# asked of them are as before. Nothing that vgpu decides depends on it.
# timeout: 90
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator "$@"

# shift SECONDS: from now on, for whoever began with the library.
shift_clock() {
    python3 -c 'import struct, sys
with open(sys.argv[1], "r+b") as file:
    file.write(struct.pack("=q", int(sys.argv[2])))' "$TMP/shift" "$1"
}
head -c 8 /dev/zero >"$TMP/shift"
export VGPU_TEST_CLOCK="$TMP/shift"
shift_clock 7200
plain=$(date +%s)
shifted=$(LD_PRELOAD="$GUESTS/wall_clock.so:${LD_PRELOAD:-}" date +%s)
near "the library shifts what a program takes for the time, s" $((shifted - plain)) 7200 2
shift_clock 0

# Not through a function: the process is to be the daemon itself, and not a shell around it.
LD_PRELOAD="$GUESTS/wall_clock.so:${LD_PRELOAD:-}" vgpu-hypervisor --api-listen-addr '' >"$TMP/daemon.out" 2>"$TMP/daemon.log" &
PID_daemon=$!
PIDS="$PIDS $PID_daemon"
ok "the daemon answers" wait_for 10 daemon_answers
calibrate --kernel-us 100
tenant a --compute 30% -- --kernel-us 100 --warm-up 1 --seconds 3600 --trace "$TMP/a.trace"
tenant b --weight 1 -- --kernel-us 100 --warm-up 1 --seconds 3600 --trace "$TMP/b.trace"
tenant c --weight 2 -- --kernel-us 100 --warm-up 1 --seconds 3600 --trace "$TMP/c.trace"
for name in a b c; do
    ok "tenant $name is there" wait_for 10 test -s "$TMP/$name.trace"
done
ok "the supervisors have the library" grep -q wall_clock "/proc/$(ps_get name=a.supervisor_pid)/maps"
supervisors() { ps_get '*.supervisor_pid' | xargs; }
before=$(supervisors)

# mean NAME FROM TO: of its windows between the two instants.
mean() {
    awk -v from="$2" -v to="$3" '$1 >= from && $1 < to { sum += $2; n++ } END { print (n ? sum / n : -1) }' \
        "$TMP/$1.trace"
}
# has_since NAME NS: its trace goes beyond that instant.
has_since() { tail -n 1 "$TMP/$1.trace" | awk -v at="$2" '{ exit !($1 > at) }'; }
span=$(full 5 2)
look() {
    look_from=$(now_ns)
    look_to=$((look_from + span * 1000000000))
    wait_for $((span + 5)) has_since c "$look_to"
    near "$1: the cap of 30 %" "$(mean a "$look_from" "$look_to")" 30 2
    look_b=$(mean b "$look_from" "$look_to")
    look_c=$(mean c "$look_from" "$look_to")
    near "$1: weight 1 of 3 of what is left" "$look_b" "$(calc "($look_b + $look_c) / 3")" 1.5
    at_least "$1: what the two have" "$(calc "$look_b + $look_c")" 64
}
wait_for 10 is_at "$TMP/a.trace" 27 33
look "before"
for shift in 3600 -3600 0 86400; do
    shift_clock $shift
    look "shifted by $shift s"
done
ok "a change is in force at once" vgpu set a --compute 50%
ok "and holds" wait_for 2 is_at "$TMP/a.trace" 46 54
shift_clock -3600
is "no supervisor was replaced" "$(supervisors)" "$before"
background_as q vgpu run --name q --memory 70GiB -- sleep 3600
wait_for 5 is_tenant q
vgpu run --name r --memory 70GiB --queue 2 -- true 2>"$TMP/err" &
waiter=$!
ok "who waits for room waits by another clock" wait_for 5 grep -q 'waiting for room' "$TMP/err"
shift_clock 86400
begun=$(now_ns)
wait "$waiter"
is "and is refused when the time is over" $? 1
at_most "which is not at once and not never, s" "$(calc "($(now_ns) - $begun) / 1e9")" 4
kill -TERM "$PID_q"
for name in a b c; do
    end $name
done
finish a b c
for name in a b c; do
    at_most "longest time that tenant $name stood still, ms" "$(get "$TMP/$name.out" longest_pause_ms)" 200
done
kill_daemon
done_testing
