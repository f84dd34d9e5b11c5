# shellcheck shell=sh disable=SC2034 # variables are for the tests
# lib.sh - what end-to-end tests share. A test is `sh tests/e2e/<behaviour>.sh`, its beginning:
#
#     . "$(dirname "$0")/lib.sh"
#     on_simulator "$@"              # from here on inside `vgpu sim`, with the arguments given to it
#     ok "a sentence about behaviour" command...
#     done_testing
#
# Every test has a directory $TMP of its own (short: socket paths lie below it), finds the installed
# tree in $VGPU_STAGE, and leaves no process behind: what `background` started is ended on exit.
# It never sleeps for a guessed time: `wait_for SECONDS COMMAND...` polls.
# What it measures it says on a line `# measured: ...`, which the report of `make check-full` collects.

set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
TEST=$(basename "$0" .sh)
: "${VGPU_STAGE:=$ROOT/build/stage/usr}"
PATH=$VGPU_STAGE/bin:$ROOT/tools:$PATH
LIB=$VGPU_STAGE/lib/vgpu
GUESTS=${VGPU_GUESTS:-$VGPU_STAGE/../../tests/guest}
FULL=${VGPU_TEST_FULL:-0}
export PATH VGPU_STAGE

if [ ! -x "$VGPU_STAGE/bin/vgpu" ]; then
    echo "Bail out! no vgpu in '$VGPU_STAGE': run make first"
    exit 1
fi

# full A B: A in `make check-full`, else B.
full() {
    if [ "$FULL" = 1 ]; then echo "$1"; else echo "$2"; fi
}

# on_simulator ARGUMENTS...: runs the rest of the test as the command of `vgpu sim ARGUMENTS...`.
on_simulator() {
    if [ "${VGPU_TEST_INSIDE:-}" != "$TEST" ]; then
        VGPU_TEST_INSIDE=$TEST exec vgpu sim "$@" -- sh "$0"
    fi
    [ "${VGPU_TEST_DAEMON:-}" != 1 ] || start_daemon
}

# plain_only: for tests that measure for minutes how exact or how fast the whole is: sanitizers slow down what is
# measured, and other tests run the same code with them.
plain_only() {
    [ -z "${VGPU_TEST_SANITIZED:-}" ] || exit 77
}

# bar EXACT WIDE: where a figure is judged by what vgpu promises, in the sanitized build by one that proves no more than
# that it is vgpu's doing. There a burn that is not run for a few milliseconds leaves its GPU idle, and how often that
# is depends on what else the machine does.
bar() {
    if [ -z "${VGPU_TEST_SANITIZED:-}" ]; then echo "$1"; else echo "$2"; fi
}

# up_to TIMES COMMAND...: until it succeeds: for measurements that other work on the machine spoils.
up_to() {
    up_to_left=$1
    shift
    while ! "$@"; do
        up_to_left=$((up_to_left - 1))
        [ "$up_to_left" -gt 0 ] || return 1
        say "measured once more"
    done
}

TMP=$(mktemp -d /tmp/vgXXXXXX)
PIDS=
TENANTS=
COUNT=0
FAILED=0

cleanup() {
    for cleanup_name in $TENANTS; do
        for pid in $(ps_get "name=$cleanup_name.processes.*.pid"); do
            [ "$pid" = missing ] || kill -KILL "$pid" 2>/dev/null
        done
    done
    for pid in $PIDS; do
        kill -KILL "$pid" 2>/dev/null
    done
    wait
    rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# background COMMAND...: starts it, with its number in $PID and its output in $TMP/<number>.{out,err}.
background() {
    "$@" >"$TMP/out" 2>"$TMP/err" &
    PID=$!
    PIDS="$PIDS $PID"
}

# background_as NAME COMMAND...: the same with the output in $TMP/NAME.out and $TMP/NAME.err, and its
# number in $PID_NAME.
background_as() {
    name=$1
    shift
    "$@" >"$TMP/$name.out" 2>"$TMP/$name.err" &
    PID=$!
    eval "PID_$name=$PID"
    PIDS="$PIDS $PID"
}

# background_from FILE NAME COMMAND...: the same with its stdin from FILE, which may be a FIFO: it is opened
# by the command's own process, as the shell itself would wait there for somebody to write.
background_from() {
    from=$1
    name=$2
    shift 2
    "$@" <"$from" >"$TMP/$name.out" 2>"$TMP/$name.err" &
    PID=$!
    eval "PID_$name=$PID"
    PIDS="$PIDS $PID"
}

# wait_for SECONDS COMMAND...: polls until the command succeeds; fails where it did not in time.
wait_for() {
    wait_for_polls=$(($1 * 50))
    shift
    while ! "$@" >/dev/null 2>&1; do
        wait_for_polls=$((wait_for_polls - 1))
        [ "$wait_for_polls" -gt 0 ] || return 1
        sleep 0.02
    done
}

# tenant_folders: the names of those that there are, in a line.
tenant_folders() { find "$VGPU_RUNTIME_DIR/tenants" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs; }

# has_no_folders: nothing is left of any tenant. To be waited for: ps has none as soon as its first file has gone, and
# its folder is the last to go.
has_no_folders() { [ -z "$(tenant_folders)" ]; }

is_gone() { ! kill -0 "$1" 2>/dev/null; }

pass() {
    COUNT=$((COUNT + 1))
    echo "ok $COUNT - $*"
}

fail() {
    COUNT=$((COUNT + 1))
    FAILED=$((FAILED + 1))
    echo "not ok $COUNT - $*"
}

skip() {
    COUNT=$((COUNT + 1))
    echo "ok $COUNT - $* # SKIP"
}

# skip_tool SENTENCE: for want of a program that `make deps DEV=1` brings. With VGPU_TEST_NO_SKIPS=1, as .ci/run has it,
# that is a failure: there it was to be brought.
skip_tool() {
    if [ "${VGPU_TEST_NO_SKIPS:-}" = 1 ]; then fail "$*"; else skip "$*"; fi
}

say() { echo "# $*"; }
measured() { echo "# measured: $*"; }

# ok SENTENCE COMMAND...: passes where the command succeeds.
ok() {
    sentence=$1
    shift
    if "$@" >"$TMP/ok.log" 2>&1; then
        pass "$sentence"
    else
        fail "$sentence"
        sed 's/^/#   /' "$TMP/ok.log"
    fi
}

# is SENTENCE GOT WANTED
is() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1"
        say "  got '$2', wanted '$3'"
    fi
}

# near SENTENCE GOT WANTED TOLERANCE: |got - wanted| <= tolerance, all decimal numbers.
near() {
    measured "$1: $2 (wanted $3 +- $4)"
    if awk -v a="$2" -v b="$3" -v t="$4" \
        'BEGIN { d = a - b; exit !(a ~ /^-?[0-9.]+(e-?[0-9]+)?$/ && d <= t && -d <= t) }'; then
        pass "$1"
    else
        fail "$1"
        say "  got $2, wanted $3 +- $4"
    fi
}

# at_most SENTENCE GOT BOUND
at_most() {
    measured "$1: $2 (at most $3)"
    if awk -v a="$2" -v b="$3" 'BEGIN { exit !(a ~ /^-?[0-9.]+(e-?[0-9]+)?$/ && a + 0 <= b + 0) }'; then
        pass "$1"
    else
        fail "$1"
        say "  got $2, wanted at most $3"
    fi
}

# at_least SENTENCE GOT BOUND
at_least() {
    measured "$1: $2 (at least $3)"
    if awk -v a="$2" -v b="$3" 'BEGIN { exit !(a ~ /^-?[0-9.]+(e-?[0-9]+)?$/ && a + 0 >= b + 0) }'; then
        pass "$1"
    else
        fail "$1"
        say "  got $2, wanted at least $3"
    fi
}

# calc EXPRESSION: awk's arithmetic, with six digits.
calc() { awk "BEGIN { print $* }"; }

# get FILE PATH: a value of a JSON file, `missing` where it has none.
get() { json-get "$2" <"$1" 2>/dev/null || echo missing; }

# ps_get PATH: a value of `vgpu ps --json`.
ps_get() { vgpu ps --json 2>/dev/null | json-get "$1" 2>/dev/null || echo missing; }

# rate_key BURN-OPTION...: what the rate of those kernels is kept under.
rate_key() {
    rate_length=100
    rate_way=
    while [ $# -gt 0 ]; do
        case $1 in
        --kernel-us) rate_length=$2 ;;
        --graph) rate_way=graph ;;
        --streams) rate_way=streams$2 ;;
        esac
        shift
    done
    echo "$rate_length$rate_way"
}

# calibrate BURN-OPTION...: measures what those kernels reach while nobody else is there; later tenants
# with such kernels go by it. Without it they calibrate themselves, between the times they are stopped.
calibrate() {
    vgpu burn "$@" --seconds 0 --save-rate "$TMP/rate.$(rate_key "$@")"
}

# tenant NAME RUN-OPTION... -- BURN-OPTION...: a tenant that burns in the background; its figures come
# to $TMP/NAME.out as JSON when it ends.
tenant() {
    tenant_name=$1
    shift
    tenant_options=
    while [ "$1" != -- ]; do
        tenant_options="$tenant_options $1"
        shift
    done
    shift
    TENANTS="$TENANTS $tenant_name"
    tenant_rate="$TMP/rate.$(rate_key "$@")"
    [ ! -f "$tenant_rate" ] || set -- "$@" --rate "$tenant_rate"
    # shellcheck disable=SC2086 # options are words
    background_as "$tenant_name" vgpu run --name "$tenant_name" $tenant_options -- \
        vgpu burn --json "$@"
}

# What tenants that are measured at the same time give their burns: each is busy for a while before and
# after the seconds that it reports, so that those seconds of one lie within the busy time of all.
TOGETHER='--warm-up 2 --cool-down 2'

# A tenant that burns until it is ended: beside whom others are measured.
neighbour() {
    neighbour_name=$1
    shift
    tenant "$neighbour_name" "$@" --seconds 3600
}

# end NAME: has the processes of a tenant end, each asked once, and waits until the tenant is gone. They are
# looked for as long as it is there: a supervisor that was just replaced does not know them all yet.
end() {
    end_asked=' '
    wait_for 10 has_ended "$1" || say "tenant '$1' does not end"
}

has_ended() {
    is_tenant "$1" || return 0
    for end_pid in $(ps_get "name=$1.processes.*.pid"); do
        case "$end_asked" in *" $end_pid "*) continue ;; esac
        [ "$end_pid" = missing ] || kill -TERM "$end_pid" 2>/dev/null
        end_asked="$end_asked$end_pid "
    done
    return 1
}

is_tenant() { [ "$(ps_get "name=$1.name")" = "$1" ]; }
is_no_tenant() { ! is_tenant "$1"; }

# is_busy NAME: the tenant has a process that has memory on a GPU: its context is there.
is_busy() {
    is_busy_bytes=$(ps_get "name=$1.gpus.0.memory_used_bytes")
    [ "$is_busy_bytes" != missing ] && [ "$is_busy_bytes" != null ] && [ "$is_busy_bytes" -gt 0 ]
}

# uptime_ns: CLOCK_MONOTONIC as far as the kernel shows it to a shell: to 10 ms, and without a process.
uptime_ns() {
    read -r uptime_s _ </proc/uptime
    echo "${uptime_s%.*}${uptime_s#*.}0000000"
}

# How far it is from the wall clock: read at the instant at which the kernel's figure moves on.
clock_first=$(uptime_ns)
while [ "$(uptime_ns)" = "$clock_first" ]; do :; done
CLOCKS_APART_NS=$(($(date +%s%N) - $(uptime_ns)))

# now_ns: CLOCK_MONOTONIC, as traces have it.
now_ns() { echo $(($(date +%s%N) - CLOCKS_APART_NS)); }

# is_at TRACE LEAST MOST [NS]: the newest window of a burn's trace lies between the two, and began after NS.
is_at() {
    tail -n 1 "$1" | awk -v least="$2" -v most="$3" -v since="${4:-0}" \
        '{ ok = $2 > least && $2 < most && $1 >= since } END { exit !ok }'
}

# --- the daemon ---

# start_daemon [COMMAND...]: `vgpu-hypervisor` (run by the command) on this runtime directory, its number in $PID_daemon; its words are added to
# $TMP/daemon.log, also those of later ones. Waits until it answers.
# shellcheck disable=SC2120 # most pass none
start_daemon() {
    # Not on a port of the machine, which other tests' daemons may have: HTTP is at the socket `api` alone.
    "$@" vgpu-hypervisor --api-listen-addr '' >>"$TMP/daemon.out" 2>>"$TMP/daemon.log" &
    PID_daemon=$!
    PIDS="$PIDS $PID_daemon"
    wait_for 10 daemon_answers || fail "the daemon answers"
}

# kill_daemon: as if it had crashed. The shell's own word about that goes to a file.
kill_daemon() {
    kill -KILL "$PID_daemon"
    wait "$PID_daemon" 2>/dev/null
    forget_pid "$PID_daemon"
}

# forget_pid PID: it is not to be killed on exit: the number may be somebody else's then.
forget_pid() {
    forget_left=
    for forget_each in $PIDS; do
        [ "$forget_each" = "$1" ] || forget_left="$forget_left $forget_each"
    done
    PIDS=$forget_left
}

# daemon_answers: it has read what there was, and listens: an answer of another process is none.
daemon_answers() {
    [ -S "$VGPU_RUNTIME_DIR/control" ] && "$ROOT/tests/e2e/node_ask.py" list >/dev/null
}

# settled_ms TRACE CAP NS: how long after the instant a new cap held, from a trace of 20 ms windows: from there
# on the mean of three windows is within four points of it. Single ones are not: they lie across the
# windows of the law, and a run that begins in one and ends in the next makes 93 and 63 of two times 78.
settled_ms() {
    awk -v want="$2" -v at="$3" '
        $1 >= at { begin[++count] = $1; share[count] = $2 }
        function is_there(i,    mean) {
            mean = (share[i] + share[i + 1] + share[i + 2]) / 3
            return mean > want - 4 && mean < want + 4
        }
        END {
            for (i = 1; i + 3 <= count; i++)
                if (is_there(i) && is_there(i + 1)) {
                    print (begin[i] - at) / 1e6
                    exit
                }
        }' "$1"
}

# share NAME: what a tenant's burn got, in percent.
share() { get "$TMP/$1.out" share_percent; }
spread() { get "$TMP/$1.out" window_sd_percent; }

# finish NAME...: waits for the burns of tenants, and shows what those said that failed.
finish() {
    for finish_name; do
        eval "finish_pid=\$PID_$finish_name"
        wait "$finish_pid" || sed "s/^/# $finish_name: /" "$TMP/$finish_name.err"
    done
}

# make_root FOLDER PROGRAM...: a small tree to chroot into: the programs at the paths they have here, and
# what the loader needs for them.
make_root() {
    root=$1
    shift
    mkdir -p "$root/etc" "$root/tmp"
    for program; do
        for file in "$program" $(ldd "$program" 2>/dev/null | grep -o '/[^ ]*'); do
            mkdir -p "$root$(dirname "$file")"
            [ -e "$root$file" ] || cp -L "$file" "$root$file"
        done
    done
}

done_testing() {
    echo "1..$COUNT"
    [ "$FAILED" -eq 0 ] || exit 1
    exit 0
}
