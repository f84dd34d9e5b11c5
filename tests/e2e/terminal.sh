#!/bin/sh
# In a terminal a command under `vgpu run` has the terminal to itself: it is the same one, Ctrl-C and Ctrl-Z
# reach the command once, from the terminal, and the shell's job control works.
. "$(dirname "$0")/lib.sh"
for needed in script bash; do
    command -v $needed >/dev/null || { echo "1..0 # skip there is no $needed"; exit 77; }
done
on_simulator "$@"

# in_terminal COMMAND: its output, with a terminal as all three streams.
in_terminal() { script -qec "$1" /dev/null </dev/null | tr -d '\r'; }
streams='for fd in 0 1 2; do test -t $fd && echo $fd; done; stty size'
is "all three streams are the terminal" "$(in_terminal "stty rows 33 cols 77; vgpu run -- sh -c '$streams'" | xargs)" \
    '0 1 2 33 77'
# shellcheck disable=SC2016 # the terminal's shell
is "it is the same terminal" "$(in_terminal 'tty; vgpu run -- tty' | sort -u | wc -l)" 1
foreground='ps -o pgid=,tpgid= -p $$ | xargs'
in_terminal "vgpu run -- sh -c '$foreground'" | awk '{ exit !($1 == $2) }'
is "the command is in the terminal's foreground" $? 0

# --- a shell with jobs ---

mkfifo "$TMP/keys"
exec 3<>"$TMP/keys"
# A shell ignores SIGINT for what it starts in the background: that is undone.
env --default-signal=INT,QUIT script -qfec "PS1='prompt> ' exec bash --norc --noprofile -i" "$TMP/screen" <"$TMP/keys" >/dev/null 2>&1 &
PIDS="$PIDS $!"
shell=$!
type_keys() { printf '%b' "$1" >&3; }
# appears WORDS: on a line of their own, which what is typed has not.
appears() { tr -d '\r' <"$TMP/screen" | sed 's/.*\x1b\[[?0-9;]*[a-zA-Z]//' | grep -qx -e "$1"; }
state_of() { sed 's/.*) \(.\).*/\1/' "/proc/$1/stat"; }
has_state() { [ "$(state_of "$1")" = "$2" ]; }
wait_for 10 grep -q 'prompt>' "$TMP/screen"

type_keys "vgpu run --name t -- sh -c 'echo \$\$ >$TMP/pid; echo star''ted; exec cat'\n"
ok "a command that reads the terminal" wait_for 10 appears started
pid=$(cat "$TMP/pid")
front=$(ps -o ppid= -p "$pid" | xargs)
type_keys 'a line\n'
reads_lines() { [ "$(tr -d '\r' <"$TMP/screen" | grep -cx 'a line')" = 2 ]; }
ok "reads what is typed" wait_for 5 reads_lines
type_keys '\032'
ok "Ctrl-Z stops it" wait_for 5 has_state "$pid" T
ok "and its front, so that the shell goes on" wait_for 5 has_state "$front" T
type_keys 'echo shell''-goes-on\n'
ok "the shell has the terminal" wait_for 5 appears shell-goes-on
is "the supervisor runs on" "$(ps_get name=t.state)" running
# is_back: the shell has given it the terminal.
# In the foreground, whatever the niceness.
waits_in_front() { ps -o stat= -p "$1" | grep -qx 'S[<N]*+ *'; }
is_back() { waits_in_front "$pid" && waits_in_front "$front"; }
type_keys 'fg\n'
ok "fg continues both" wait_for 5 is_back
type_keys 'another line\n'
reads_another() { [ "$(tr -d '\r' <"$TMP/screen" | grep -cx 'another line')" = 2 ]; }
ok "and it reads again" wait_for 5 reads_another
type_keys '\032'
ok "Ctrl-Z once more" wait_for 5 has_state "$front" T
type_keys 'bg; echo sent''-there\n'
ok "bg" wait_for 5 appears sent-there
ok "in the background it is stopped when it reads" wait_for 5 has_state "$pid" T
ok "and its front" wait_for 5 has_state "$front" T
type_keys 'fg\n'
ok "fg continues both" wait_for 5 is_back
type_keys '\003'
ok "Ctrl-C ends it" wait_for 5 is_gone "$pid"
type_keys 'echo status''=$?\n'
ok "with the status of the signal" wait_for 5 appears status=130
ok "the tenant is gone" wait_for 5 is_no_tenant t

# A command that counts: one Ctrl-C is one, and two are two.
cat >"$TMP/counter" <<'END'
count=0
trap 'count=$((count + 1)); echo "count $count"; [ $count -lt 2 ] || exit 5' INT
echo counting
while :; do sleep 0.01; done
END
type_keys "vgpu run --name t -- sh $TMP/counter\n"
ok "a command that catches Ctrl-C" wait_for 10 appears counting
type_keys '\003'
ok "has the first" wait_for 5 appears '.*count 1'
ok "and goes on" is_tenant t
type_keys '\003'
ok "it has the second" wait_for 5 appears '.*count 2'
type_keys 'echo status''=$?\n'
ok "which ends it as it likes" wait_for 5 appears status=5
ok "the tenant is gone with it" wait_for 5 is_no_tenant t

# A program that catches Ctrl-Z, to put the terminal in order, and then stops itself by what cannot be caught.
cat >"$TMP/editor" <<'END'
import os, signal, sys
signal.signal(signal.SIGTSTP, lambda *_: os.kill(os.getpid(), signal.SIGSTOP))
with open(sys.argv[1], 'w') as file:
    print(os.getpid(), file=file)
while True:
    signal.pause()
END
type_keys "vgpu run --name t -- python3 $TMP/editor $TMP/editor.pid\n"
ok "a command that stops itself with SIGSTOP at Ctrl-Z" wait_for 10 test -s "$TMP/editor.pid"
pid=$(cat "$TMP/editor.pid")
front=$(ps -o ppid= -p "$pid" | xargs)
for round in 1 2; do
    type_keys '\032'
    ok "takes its front along ($round)" wait_for 5 has_state "$front" T
    type_keys "echo shell-is-back''-$round\n"
    ok "and the shell goes on ($round)" wait_for 5 appears "shell-is-back-$round"
    type_keys 'fg\n'
    ok "fg continues both ($round)" wait_for 5 is_back
done
kill -STOP "$pid"
wait_for 5 has_state "$pid" T
ok "one that somebody else stopped does not" wait_for 5 has_state "$front" S
kill -CONT "$pid"
type_keys '\003'
ok "Ctrl-C ends it" wait_for 5 is_gone "$pid"
wait_for 5 is_no_tenant t

# One that does not: the second finds nobody.
type_keys "vgpu run --name t -- sh -c 'echo sleep''ing; exec sleep 60'; echo status=\$?-\n"
ok "a command that does not" wait_for 10 appears sleeping
type_keys '\003\003'
ok "ends with the first" wait_for 5 appears '.*status=130-'
type_keys 'echo alive''-still\n'
ok "and the shell is well" wait_for 5 appears alive-still
ok "nothing is left" wait_for 5 has_no_folders
type_keys 'exit\n'
ok "the shell ends" wait_for 5 is_gone "$shell"
done_testing
