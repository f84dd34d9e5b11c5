#!/bin/sh
# A command under `vgpu run` has its own exit status, streams, environment and signals, and vgpu says nothing
# but what it is asked for. With VGPU_TEST_DAEMON=1 all of it is kept by a daemon (hypervisor_command.sh).
# timeout: 90
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

# run_quietly COMMAND...: as a tenant, its streams in $TMP/out and $TMP/err.
run_quietly() { vgpu run -- "$@" >"$TMP/out" 2>"$TMP/err" </dev/null; }

for status in 0 1 77 255; do
    run_quietly sh -c "exit $status"
    is "exit status $status is passed on" $? "$status"
done
for signal in 2 3 9 10 15; do
    # shellcheck disable=SC2016 # the inner shell's own number
    run_quietly sh -c 'ulimit -c 0; kill -"$1" $$' sh "$signal"
    is "death by signal $signal becomes 128 + its number" $? $((128 + signal))
done
is "nothing was said about any of it" "$(cat "$TMP/out" "$TMP/err")" ''

echo 'a line' | vgpu run -- cat >"$TMP/out"
is "stdin and stdout are the command's" "$(cat "$TMP/out")" 'a line'
# shellcheck disable=SC2016 # the inner shell's variables
vgpu run -- sh -c 'echo to stderr >&2; echo "$VGPU_LOG $(umask) $(pwd)"' >"$TMP/out" 2>"$TMP/err"
is "stderr is the command's" "$(cat "$TMP/err")" 'to stderr'
is "umask and directory are as they were" "$(cat "$TMP/out")" " $(umask) $(pwd)"

# What is closed stays closed, and none of ours gets its number.
# shellcheck disable=SC2016 # the inner shell's variables
any_open='for fd; do [ ! -e "/proc/self/fd/$fd" ] || exit 1; done; exit 9'
vgpu run -- sh -c "$any_open" sh 0 <&-
is "a stdin that is closed stays closed" $? 9
vgpu run -- sh -c "$any_open" sh 0 1 2 <&- >&- 2>&-
is "so do all three" $? 9
# shellcheck disable=SC2016
ours=$(vgpu run -- sh -c 'for fd in /proc/$$/fd/*; do readlink $fd; done' | grep -cE 'memfd|signalfd|/lock')
is "it inherits no descriptor of ours" "$ours" 0
grep -E '^Sig(Blk|Ign)' /proc/self/status >"$TMP/signals"
is "nor blocked or ignored signals" "$(vgpu run -- grep -E '^Sig(Blk|Ign)' /proc/self/status)" \
    "$(cat "$TMP/signals")"

timeout -k 1 5 env --ignore-signal=CHLD vgpu run -- grep -q '^SigIgn:.*10000$' /proc/self/status
is "where SIGCHLD is ignored its end is seen, and it is ignored for the command" $? 0

timeout -k 1 5 env --ignore-signal=CHLD vgpu sim -- true
is "vgpu sim sees the end of its command there, too" $? 0

for words in --version --help 'run --help' 'ps --json' 'top --once'; do
    # shellcheck disable=SC2086 # words
    vgpu $words >/dev/full 2>"$TMP/err"
    is "vgpu $words onto a full disk fails" "$? $(wc -l <"$TMP/err") $(grep -c 'no space left' "$TMP/err")" '1 1 1'
done

# --- signals that a process sends ---

cat >"$TMP/counter" <<'END'
echo 0 >"$1.USR1"; echo 0 >"$1.TERM"
count() { echo $(($(cat "$2.$1") + 1)) >"$2.$1"; }
trap 'count USR1 "$1"' USR1
trap 'count TERM "$1"; done=1' TERM
echo ready >"$1.ready"
while [ -z "${done:-}" ]; do sleep 0.01; done
exit 42
END
background_as a vgpu run --name a -- sh "$TMP/counter" "$TMP/count"
wait_for 10 test -e "$TMP/count.ready"
for round in 1 2 3; do
    kill -USR1 "$PID_a"
    wait_for 5 grep -qx "$round" "$TMP/count.USR1"
done
kill -TERM "$PID_a"
wait "$PID_a"
is "a signal to vgpu run reaches the command, whose answer is the status" $? 42
is "three signals arrive three times" "$(cat "$TMP/count.USR1")" 3
is "one arrives once" "$(cat "$TMP/count.TERM")" 1

# A command that is stopped and goes on by itself does not leave its front behind.
background_as a vgpu run --name a -- sh -c 'echo $$ >"$1"; exec sleep 60' sh "$TMP/pid"
wait_for 10 test -s "$TMP/pid"
state_of() { sed 's/.*) \(.\).*/\1/' "/proc/$1/stat"; }
has_state() { [ "$(state_of "$1")" = "$2" ]; }
pid=$(cat "$TMP/pid")
kill -STOP "$pid"
ok "the command is stopped" wait_for 5 has_state "$pid" T
kill -CONT "$pid"
ok "it goes on" wait_for 5 has_state "$pid" S
kill -TERM "$pid"
wait_for 5 is_gone "$PID_a" || kill -CONT "$PID_a"
wait "$PID_a"
is "and its end is seen" $? 143

# A signal at any instant of the start ends all of it; before that, this shell's copy would take it for its
# own trap and lose it.
is_executed() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = vgpu ]; }
has_no_folder() { [ ! -e "$VGPU_RUNTIME_DIR/tenants/$1" ]; }
left=0
statuses=
for round in $(seq "$(full 200 30)"); do
    vgpu run --name early -- sleep 60 &
    pid=$!
    while ! is_executed "$pid" && kill -0 "$pid" 2>/dev/null; do :; done
    sleep "0.0$(printf %02d $((round % 15)))"
    kill -TERM "$pid"
    wait "$pid"
    statuses="$statuses $?"
    [ -z "${PID_daemon:-}" ] || wait_for 2 has_no_folder early # it sees the end of a front by itself
    has_no_folder early || left=$((left + 1))
done
is "a start that is interrupted ends with the signal" "$(echo "$statuses" | tr ' ' '\n' | sort -u | xargs)" 143
is "and leaves nothing behind" "$left" 0

# --- our words ---

vgpu run -v --name a -- true >"$TMP/out" 2>"$TMP/err"
is "-v: nothing on stdout" "$(cat "$TMP/out")" ''
ok "-v: something about the tenant on stderr" grep -q "tenant 'a'" "$TMP/err"
is "-v: each line has our prefix" "$(grep -cv '^vgpu: ' "$TMP/err")" 0
# shellcheck disable=SC2016
is "-v: the command's environment is not touched" "$(vgpu run -v -- sh -c 'echo "$VGPU_LOG"' 2>"$TMP/err")" ''

echo kept >"$TMP/log"
vgpu run --name a --log "$TMP/log" -- "$GUESTS/memory" start >"$TMP/out" 2>"$TMP/err"
is "--log: what the file held stays" "$(head -n 1 "$TMP/log")" kept
if [ -n "${PID_daemon:-}" ]; then
    ok "--log: that it is the daemon's is said, in one line" \
        sh -c 'test "$(wc -l <"$1")" = 1 && grep -q "^vgpu: --log has no effect" "$1"' sh "$TMP/err"
    ok "--log: the daemon's tells of the tenant and its process" \
        wait_for 5 grep -q "(memory) joined 'a'" "$TMP/daemon.log"
else
    is "--log: nothing on stderr" "$(cat "$TMP/err")" ''
    ok "--log: it tells of the tenant and its process" grep -q "(memory) joined 'a'" "$TMP/log"
fi
vgpu run --log "$TMP/none/log" -- true 2>"$TMP/err"
is "--log: a file that cannot be written ends it" $? 1
ok "--log: in one line that names it" \
    sh -c 'test "$(wc -l <"$1")" = 1 && grep -q "^vgpu: .*$2" "$1"' sh "$TMP/err" "$TMP/none/log"

# A command that ends at once frees its name at once, however busy the machine is.
failures=0
for round in $(seq "$(full 100 20)"); do
    for name in a b c d; do
        vgpu run --name $name -- true &
        eval "pid_$name=\$!"
    done
    for name in a b c d; do
        eval "wait \$pid_$name" || failures=$((failures + 1))
        [ ! -e "$VGPU_RUNTIME_DIR/tenants/$name" ] || failures=$((failures + 1))
    done
done
is "four short commands at a time end well and free their names" "$failures" 0
is "no tenant is left" "$(vgpu ps --json | json-get '#')" 0
done_testing
