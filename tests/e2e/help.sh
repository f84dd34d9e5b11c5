#!/bin/sh
# Each command explains itself, completes in bash and has a man page, all from the same table.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

commands=$(vgpu --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | xargs)
is "the commands" "$commands" 'run exec ps top explain events set reload burn sim doctor bench bootstrap'
is "vgpu alone shows them, and is no success" "$(vgpu; echo $?)" "$(vgpu --help; echo 2)"
ok "there is a version" sh -c 'vgpu --version | grep -qx "vgpu [0-9.]*"'

for command in $commands; do
    vgpu "$command" --help >"$TMP/out" 2>"$TMP/err"
    is "$command --help: status, and nothing on stderr" "$?$(cat "$TMP/err")" 0
    ok "$command --help: begins with its usage" sh -c "head -n 1 $TMP/out | grep -q '^usage: vgpu $command'"
    ok "$command -h: the same" sh -c "vgpu $command -h | cmp - $TMP/out"
done
for option in name adopt gpu memory compute weight priority engine on-loss log; do
    ok "run --help tells of --$option" sh -c "vgpu run --help | grep -q -e '^ *--$option '"
done
is "a command's own --help is the command's" "$(vgpu run -- sh -c 'echo "$1"' sh --help)" --help

# --- bash ---

completion=$VGPU_STAGE/share/bash-completion/completions/vgpu
if command -v bash >/dev/null; then
    # completed WORD...: what bash offers for the last word.
    completed() {
        bash -c '
            . "$1" || exit
            shift
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            "$(complete -p vgpu | sed "s/.*-F \([^ ]*\).*/\1/")"
            printf "%s\n" "${COMPREPLY[@]}"' bash "$completion" "$@" 2>&1 | sort | xargs
    }
    ok "the completion loads" bash -n "$completion"
    # shellcheck disable=SC2086 # words
    is "it completes commands" "$(completed vgpu '')" "$(printf '%s\n' $commands --help --version | sort | xargs)"
    is "of a beginning those that fit" "$(completed vgpu b)" 'bench bootstrap burn'
    is "options" "$(completed vgpu run --me)" --memory
    is "values to choose from" "$(completed vgpu run --priority '')" 'high low normal'
    is "of another" "$(completed vgpu run --on-loss c)" closed
    is "files" "$(cd "$TMP" && : >log1 && completed vgpu run --log lo)" log1
    is "the command after --" "$(completed vgpu run -- /bin/tru | xargs -n 1 | sort -u | head -n 1)" /bin/true
    vgpu run --name tenant-one -- sleep 60 &
    PIDS="$PIDS $!"
    wait_for 10 is_tenant tenant-one
    for command in exec ps set; do
        is "$command completes tenants' names" "$(completed vgpu $command ten)" tenant-one
    done
    kill "$!"
    wait "$!"
    is "nor does it offer what is hidden" "$(completed vgpu pro)" ''
else
    skip "completion in bash: there is no bash"
fi

# --- man pages ---

pages=$VGPU_STAGE/share/man/man1
for command in '' $commands; do
    page=$pages/vgpu${command:+-$command}.1
    ok "there is $(basename "$page")" test -s "$page"
    if command -v groff >/dev/null; then
        groff -ww -man -Tascii -P-c "$page" >"$TMP/text" 2>"$TMP/err"
        is "it formats without a warning" "$?$(cat "$TMP/err")" 0
        ok "and names what it is about" sh -c "sed 's/.\x08//g' $TMP/text | grep -q '^ *vgpu.* - '"
    else
        skip_tool "formats without a warning: there is no groff"
    fi
done
if command -v groff >/dev/null; then
    groff -man -Tascii -P-c "$pages/vgpu-run.1" | sed 's/.\x08//g' >"$TMP/text"
    for option in $(vgpu run --help | sed -n 's/.* --\([a-z-]*\) .*/\1/p'); do
        ok "the man page of run has --$option" grep -q -e "--$option" "$TMP/text"
    done
fi
done_testing
