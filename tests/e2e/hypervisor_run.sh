#!/bin/sh
# `vgpu run` where a daemon is: it finds it, is placed on the GPU that fits best, refused with a reason, or waits
# for room; set, ps and exec work on such tenants, also for another user, who may change no limit behind the
# daemon's back.
# timeout: 120
. "$(dirname "$0")/lib.sh"
on_simulator --gpus 2 --gpu-memory 80GiB "$@"

gib=1073741824
ask="$ROOT/tests/e2e/node_ask.py"
export VGPU_RUNTIME_DIR="$TMP/run"
knows() { "$ask" list | grep -qx "$1"; }
knows_not() { ! knows "$1"; }
# hold NAME OPTION...: a tenant that stays, without a GPU program.
hold() {
    hold_name=$1
    shift
    background_as "$hold_name" vgpu run --name "$hold_name" "$@" -- sleep 3600
    wait_for 10 is_tenant "$hold_name"
}
# drop NAME...: ends what hold() began.
drop() {
    for drop_name; do
        eval "drop_pid=\$PID_$drop_name"
        kill -TERM "$drop_pid"
        wait "$drop_pid" 2>/dev/null
        forget_pid "$drop_pid"
        wait_for 5 knows_not "$drop_name" || say "tenant '$drop_name' stays"
    done
}
gpu_of() { ps_get "name=$1.gpus.*.index" | xargs; }
# refused STATUS WORDS COMMAND...: ends with the status and one line that has the words.
refused() {
    refused_status=$1
    words=$2
    shift 2
    "$@" >"$TMP/out" 2>"$TMP/err" </dev/null
    is "'$*': exit status" $? "$refused_status"
    ok "'$*': one line: $words" sh -c \
        'test "$(wc -l <"$1")" = 1 && grep -q "^vgpu: .*$2" "$1" || { cat "$1"; exit 1; }' sh "$TMP/err" "$words"
}

# --- with and without ---

ok "without a daemon, vgpu run needs none" vgpu run -- true
background_as alone vgpu run --name alone -- sleep 3600
wait_for 10 is_tenant alone
start_daemon
is "a tenant that was there is known to a daemon that begins" "$("$ask" list)" alone
drop alone

hold a --memory 40GiB --compute 30%
ok "vgpu run finds the daemon" knows a
parent() { awk '{ print $4 }' "/proc/$1/stat"; }
is "which started its supervisor" "$(parent "$(ps_get name=a.supervisor_pid)")" "$PID_daemon"
hold s --standalone
is "--standalone: it has a supervisor of its own" "$(parent "$(ps_get name=s.supervisor_pid)")" "$PID_s"
ok "--standalone: the daemon does not keep it" knows_not s
is "both are listed once" "$(ps_get '*.name' | xargs)" 'a s'
refused 1 "name 's' is taken" vgpu run --name s -- true
refused 1 "name 'a' is taken" vgpu run --name a --standalone -- true
drop s

# --- placement ---

is "a tenant has one GPU unless it asks for more" "$(gpu_of a)" 0
hold b --memory 30GiB --compute 30%
is "the GPU with the best fit: the fuller one" "$(gpu_of b)" 0
hold c --memory 20GiB
is "what does not fit there goes to the other one" "$(gpu_of c)" 1
hold d
is "without guarantees: where fewer tenants are" "$(gpu_of d)" 1
hold e --compute 50%
is "time does not fit there: the other one" "$(gpu_of e)" 1
hold f --gpu 1 --gpu 0 --memory 5GiB
is "--gpu: all that were named" "$(gpu_of f)" '0 1'
# shellcheck disable=SC2016 # the tenant's variable
visible() { vgpu run "$@" -- sh -c 'echo "${CUDA_VISIBLE_DEVICES-unset}"'; }
uuid1=$(ps_get name=c.gpus.0.uuid)
is "CUDA is told of the one" "$(visible --gpu 1)" "$uuid1"
is "of none where all are allowed" "$(visible --gpu 1 --gpu 0)" unset
is "of the one that the daemon chose" "$(visible --memory 15GiB)" "$uuid1"

# --- refusals ---

refused 1 "name 'a' is taken" vgpu run --name a --memory 1GiB -- true
refused 1 'GPU 1 has 55.0 GiB .* 60.0 GiB' vgpu run --name big --memory 60GiB -- true
refused 1 'GPU 0 has 5.0 GiB' vgpu run --name big --gpu 0 --memory 6GiB -- true
refused 2 "no GPU '7' answers here" vgpu run --gpu 7 -- true
refused 2 'GPU 0 has only 81920MiB' vgpu run --memory 81GiB -- true
is "none of them left anything" "$(tenant_folders)" 'a b c d e f'

# --- set, exec ---

ok "set goes through the daemon" vgpu set a --compute 40% --memory 41GiB
is "and holds" "$(ps_get name=a.gpus.0.compute_limit_percent) $(ps_get name=a.gpus.0.memory_limit_bytes)" \
    "40.0 $((41 * gib))"
refused 1 'GPU 0 has .*45.0 GiB' vgpu set a --memory 60GiB
refused 1 '70.0 %.* 71.0 %' vgpu set a --compute 71%
is "what was refused changed nothing" \
    "$(ps_get name=a.gpus.0.compute_limit_percent) $(ps_get name=a.gpus.0.memory_limit_bytes)" "40.0 $((41 * gib))"
ok "less is always allowed" vgpu set a --memory 30GiB
vgpu exec a -- "$GUESTS/memory" limit >"$TMP/out" 2>"$TMP/err"
is "exec joins the tenant" "$(get "$TMP/out" total_bytes)$(cat "$TMP/err")" $((30 * gib))
refused 1 "no tenant 'z'" vgpu set z --compute 10%
refused 1 "no tenant 'z'" vgpu exec z -- true

# --- the queue ---

background_as q vgpu run --name q --gpu 0 --memory 42GiB --queue 60 -- echo served
ok "--queue: it says what it waits for" wait_for 10 grep -q 'waiting for room' "$TMP/q.err"
is "it is no tenant yet" "$(tenant_folders)" 'a b c d e f'
refused 1 'waits for room already' vgpu run --name q -- true
refused 1 'somebody waits for GPU 0' vgpu run --gpu 0 --memory 1GiB -- true
# Not in the background of this shell, which would have SIGINT ignored.
cat >"$TMP/interrupt" <<'END'
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
waiter = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE)
waiter.stderr.readline()
waiter.send_signal(signal.SIGINT)
sys.exit(0 if waiter.wait() == -signal.SIGINT else 1)
END
ok "Ctrl-C ends one that waits" timeout 20 python3 "$TMP/interrupt" \
    vgpu run --name gone --gpu 0 --memory 45GiB --queue 60 -- true
timeout 20 vgpu run --name r --gpu 0 --memory 45GiB --queue 2 -- true 2>"$TMP/err"
is "who waits no longer than that is refused" "$?.$(tail -n 1 "$TMP/err")" '1.vgpu: run: somebody waits for GPU 0 already'
hang_up() { ! curl -s -m 1 -o "$TMP/out" --unix-socket "$TMP/run/api" -H 'Content-Type: application/json' \
    -d '{"name": "h", "gpus": [0], "memory": "45GiB", "queue_seconds": 60}' http://d/api/v1/tenants; }
is_listed() { curl -s --unix-socket "$TMP/run/api" http://d/api/v1/tenants | grep -q "\"name\": *\"$1\""; }
is_not_listed() { ! is_listed "$1"; }
ok "over HTTP one waits, too, and hangs up" hang_up
ok "and is waited for no more" wait_for 5 is_not_listed h
ok "who is still there is" is_listed q
background_as w vgpu run --name w --gpu 0 --memory 42GiB --queue 60 -- true
wait_for 10 is_listed w
is "one that waits can be deleted" "$(curl -s -o "$TMP/out" -w '%{http_code}' --unix-socket "$TMP/run/api" -X DELETE \
    http://d/api/v1/tenants/w)" 204
wait "$PID_w"
is "which it is told" "$?.$(tail -n 1 "$TMP/w.err")" '1.vgpu: run: it was deleted while it waited for room'
forget_pid "$PID_w"
drop b
ok "it is served when there is room" wait_for 10 grep -qx served "$TMP/q.out"
wait "$PID_q"
is "and ends as its command" $? 0
wait_for 5 knows_not q
is "who was cancelled or refused has left nothing" "$(tenant_folders)" 'a c d e f'
ok "the place is free" vgpu run --name gone --gpu 0 --memory 45GiB -- true
drop a c d e f
is "the daemon knows no tenant any more" "$("$ask" list)" ''

# --- another user ---

# What goes to the background is to be the program itself, and no shell around it: it has to be ended.
NOBODY='setpriv --reuid 65534 --regid 65534 --clear-groups --'
# shellcheck disable=SC2086 # words
as_nobody() { $NOBODY "$@"; }
chmod 0711 "$TMP"
chmod 0711 "$(dirname "$VGPU_SIM_SOCKET")"
chmod 0666 "$VGPU_SIM_SOCKET"
if [ "$(id -u)" != 0 ] || ! as_nobody test -x "$VGPU_STAGE/bin/vgpu" || [ ! -x /usr/bin/python3 ]; then
    skip "another user's tenants"
    kill_daemon
    done_testing
fi
# shellcheck disable=SC2086 # words
background_as n $NOBODY vgpu run --name n --gpu 0 --gpu 1 --memory 2GiB --compute 20% -- "$GUESTS/memory" hold 100000000
ok "another user's vgpu run finds the daemon, too" wait_for 10 grep -q ready "$TMP/n.out"
is "and its process is in the tenant" "$(ps_get 'name=n.processes.#')" 1
hold root_own --compute 10%
as_nobody vgpu ps --json >"$TMP/ps" 2>"$TMP/err"
is "it sees its own" "$(get "$TMP/ps" name=n.gpus.0.memory_limit_bytes)$(cat "$TMP/err")" $((2 * gib))
as_nobody vgpu exec n -- "$GUESTS/memory" limit >"$TMP/out" 2>"$TMP/err"
is "it joins its own" "$(get "$TMP/out" total_bytes)$(cat "$TMP/err")" $((2 * gib))
ok "it changes its own, through the daemon" as_nobody vgpu set n --compute 25%
is "which holds" "$(ps_get name=n.gpus.0.compute_limit_percent)" 25.0
ok "on one GPU alone as well" as_nobody vgpu set n --gpu 1 --compute 30%
is "and on no other" "$(ps_get 'name=n.gpus.*.compute_limit_percent' | xargs)" '25.0 30.0'
refused 2 "does not have GPU 7" as_nobody vgpu set n --gpu 7 --compute 30%
refused 1 'belongs to somebody else' as_nobody vgpu set root_own --compute 90%
refused 1 'belongs to somebody else' as_nobody vgpu exec root_own -- "$GUESTS/memory" limit
control="$TMP/run/tenants/n/control"
refused_words() { "$@" 2>&1 | grep -q 'the daemon changes it'; }
ok "the supervisor's own socket answers it" as_nobody /usr/bin/python3 "$ask" --to "$control" status
ok "and refuses to raise its limits" refused_words as_nobody /usr/bin/python3 "$ask" --to "$control" cap 90
ok "or to end it" refused_words as_nobody /usr/bin/python3 "$ask" --to "$control" end force
ok "another's supervisor does not answer at all" sh -c '! "$@" 2>/dev/null' sh \
    setpriv --reuid 65534 --regid 65534 --clear-groups -- /usr/bin/python3 "$ask" --to "$TMP/run/tenants/root_own/control" status
is "nothing has changed" "$(ps_get name=n.gpus.0.compute_limit_percent)" 25.0
ok "nor can it write into the directory of its tenant" sh -c '! "$@" 2>/dev/null' sh \
    setpriv --reuid 65534 --regid 65534 --clear-groups -- touch "$TMP/run/tenants/n/file"
kill -TERM "$PID_n"
ok "it ends with its command" wait_for 5 is_no_tenant n
wait_for 5 knows_not n
drop root_own

# A socket of somebody who is neither root nor oneself is not believed.
kill_daemon
mkdir -m 0777 "$TMP/false"
cat >"$TMP/listen" <<'END'
import os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen()
os.chmod(sys.argv[1], 0o666)
print('ready', flush=True)
if listener.accept()[0].recv(4096):
    print('asked', flush=True)
END
chmod 0644 "$TMP/listen"
# shellcheck disable=SC2086 # words
background_as liar $NOBODY /usr/bin/python3 "$TMP/listen" "$TMP/false/control"
wait_for 10 grep -q ready "$TMP/liar.out"
chmod 0711 "$TMP/false"
chown 0 "$TMP/false"
VGPU_RUNTIME_DIR=$TMP/false vgpu run -- echo alone >"$TMP/out" 2>"$TMP/err"
is "another user's socket is not believed: vgpu run goes alone" "$(cat "$TMP/out")" alone
is "and told it nothing" "$(cat "$TMP/liar.out")" ready
kill -KILL "$PID_liar" 2>"$TMP/err" # it ends by itself once it was connected to
done_testing
