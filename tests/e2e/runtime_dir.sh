#!/bin/sh
# A runtime directory on a full disk, without room for a file, or read-only: one line that names what cannot
# be written, nothing left behind, and tenants that are there go on.
. "$(dirname "$0")/lib.sh"
# In a namespace of its own, so that what is mounted goes with the test.
if [ "${VGPU_TEST_MOUNTS:-}" != own ]; then
    unshare -m true 2>/dev/null || { echo "1..0 # skip only root may mount"; exit 77; }
    VGPU_TEST_MOUNTS=own exec unshare -m sh "$0" "$@"
fi
on_simulator "$@"

export VGPU_RUNTIME_DIR="$TMP/run"
mkdir "$TMP/run"
# The last mount is under the next one: all of them go with the namespace.
on_disk() { mount -t tmpfs -o "mode=0700,$1" none "$TMP/run" || { echo "1..0 # skip no tmpfs here"; exit 77; }; }
fill_disk() { dd if=/dev/zero bs=4k >>"$TMP/run/filler" 2>/dev/null; }
# refused WORDS COMMAND...: fails with 1 and one line that has the words.
refused() {
    words=$1
    shift
    "$@" >"$TMP/out" 2>"$TMP/err"
    is "'$*': exit status" $? 1
    ok "'$*': one line: $words" sh -c \
        'test "$(wc -l <"$1")" = 1 && grep -q "^vgpu: .*$2" "$1"' sh "$TMP/err" "$words"
    is "'$*': nothing on stdout" "$(cat "$TMP/out")" ''
}

on_disk size=256k
ok "with room, a tenant runs" vgpu run -- true
background_as a vgpu run --name a --compute 40% -- vgpu burn --kernel-us 100 --seconds 3600 --trace "$TMP/trace"
ok "and another one stays" wait_for 10 is_busy a
fill_disk
refused 'no space left' vgpu run --name b -- true
is "nothing of it is left" "$(ls "$TMP/run/tenants")" a
refused 'no space left' vgpu set a --compute 20%
ok "the change holds all the same" test "$(ps_get name=a.gpus.0.compute_limit_percent)" = 20.0
ok "which is said" grep -q 'the change holds' "$TMP/err"
is_at_20() { tail -n 1 "$TMP/trace" | awk '{ ok = $2 > 15 && $2 < 25 } END { exit !ok }'; }
ok "and seen" wait_for 10 is_at_20

# On a full disk a supervisor is followed by another one.
supervisor=$(ps_get name=a.supervisor_pid)
has_other_supervisor() {
    now=$(ps_get name=a.supervisor_pid)
    [ "$now" != missing ] && [ "$now" != null ] && [ "$now" != "$supervisor" ]
}
kill -KILL "$supervisor"
ok "a supervisor that is killed is followed" wait_for 5 has_other_supervisor
is_at_40() { tail -n 1 "$TMP/trace" | awk '{ ok = $2 > 35 && $2 < 45 } END { exit !ok }'; }
ok "by one that knows what was written last" wait_for 10 is_at_40
end a
ok "the tenant leaves nothing" wait_for 5 has_no_folders
fill_disk
refused 'no space left' vgpu run --name b -- true
is "nor does one that cannot begin" "$(ls "$TMP/run/tenants")" ''
rm "$TMP/run/filler"
ok "with room again, all is well" vgpu run --name b -- true

on_disk nr_inodes=4
mkdir -m 0700 "$TMP/run/tenants"
touch "$TMP/run/filler"
refused 'no space left' vgpu run --name b -- true
is "no file can be made: nothing is left" "$(ls "$TMP/run/tenants")" ''

on_disk size=64k
mount -o remount,ro "$TMP/run"
refused 'read-only file system' vgpu run -- true
refused "$TMP/run" vgpu ps
on_disk size=64k
ok "what doctor finds out" vgpu doctor
[ -d "$TMP/run/tenants" ] || mkdir -m 0700 "$TMP/run/tenants"
mount -o remount,ro "$TMP/run"
refused 'read-only file system' vgpu run -- true
is "a directory that can be read can be listed" "$(vgpu ps 2>&1)" ''
while umount "$TMP/run" 2>/dev/null; do :; done
done_testing
