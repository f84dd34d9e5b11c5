#!/bin/sh
# What is wrong with a command is said in one clear line on stderr, with the right exit status, and leaves
# nothing behind.
# timeout: 120
. "$(dirname "$0")/lib.sh"
on_simulator --gpus 1 "$@"

# refused STATUS WORD COMMAND...: fails so, with one line on stderr that has the word, and nothing on stdout.
refused() {
    status=$1
    word=$2
    shift 2
    "$@" >"$TMP/out" 2>"$TMP/err" </dev/null
    got=$?
    what="'$*'"
    is "$what: exit status" "$got" "$status"
    if [ "$(wc -l <"$TMP/err")" -eq 1 ] && grep -q '^vgpu: ' "$TMP/err" && grep -qF -- "$word" "$TMP/err"
    then
        pass "$what: one line that names '$word'"
    else
        fail "$what: one line that names '$word'"
        sed 's/^/#   /' "$TMP/err"
    fi
    is "$what: nothing on stdout" "$(cat "$TMP/out")" ''
}

refused 2 --unheard-of vgpu run --unheard-of -- true
refused 2 unheard-of vgpu unheard-of
for size in 0 8Q -1 101% '' 8GiBx 99999999999999999999; do
    refused 2 memory vgpu run --memory "$size" -- true
done
for percent in 0 101 -1 30%% x ''; do
    refused 2 compute vgpu run --compute "$percent" -- true
done
for weight in 0 1001 -1 x; do
    refused 2 weight vgpu run --weight "$weight" -- true
done
refused 2 priority vgpu run --priority highest -- true
refused 2 engine vgpu run --engine api2 -- true
refused 2 on-loss vgpu run --on-loss perhaps -- true
refused 2 7 vgpu run --gpu 7 -- true
refused 2 GPU-00000000-0000-0000-0000-000000000000 \
    vgpu run --gpu GPU-00000000-0000-0000-0000-000000000000 -- true
for name in '' a/b .a -a "$(printf 'x%.0s' $(seq 64))" 'a b' ../x; do
    refused 2 name vgpu run --name "$name" -- true
done
refused 127 no-such-command vgpu run -- no-such-command
refused 126 "$TMP/plain" sh -c 'echo x >"$1"; exec vgpu run -- "$1"' sh "$TMP/plain"
refused 1 nobody vgpu set nobody --compute 30%
refused 1 nobody vgpu exec nobody -- true
refused 2 compute sh -c 'exec vgpu set nobody --compute 0'
is "no tenant is left" "$(vgpu ps --json | json-get '#')" 0

# A name that is taken.
tenant a --compute 50% -- --kernel-us 100 --seconds 3600
ok "a tenant runs" wait_for 10 is_busy a
refused 1 "'a'" vgpu run --name a -- true
refused 2 compute vgpu set a --compute 101
refused 2 memory vgpu set a --memory 8Q
is "the tenant kept its cap" "$(ps_get name=a.gpus.0.compute_limit_percent)" 50.0
end a

# A runtime directory that cannot be used. Root may write everywhere, so it is a file here.
echo >"$TMP/file"
refused 1 "$TMP/file" env VGPU_RUNTIME_DIR="$TMP/file" vgpu run -- true
mkdir -m 0777 "$TMP/open"
chmod 0777 "$TMP/open"
refused 1 "$TMP/open" env VGPU_RUNTIME_DIR="$TMP/open" vgpu run -- true

vgpu sim -- sh -c 'exit 7'
is "vgpu sim passes its command's status on" $? 7
refused 2 nonsense vgpu sim --fault nonsense -- true
refused 2 gpus vgpu sim --gpus 0 -- true
refused 127 no-such-command vgpu sim -- no-such-command
done_testing
