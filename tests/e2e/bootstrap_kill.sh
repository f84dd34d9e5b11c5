#!/bin/sh
# A bootstrap that is killed at any of its system calls has named nothing that is not there, has left no file
# half-written, and ends, when it is run again, where one clean run ends. The same for an update and an undo.
# timeout: 240
. "$(dirname "$0")/lib.sh"
[ -z "${VGPU_TEST_SANITIZED:-}" ] || GUESTS=$VGPU_GUESTS
BOOTSTRAP=$LIB/bootstrap
KILL_AT=$GUESTS/kill_at
KILLS=$(full 600 20) # more than there are instants: each of them
APP=$TMP/app
PLACE=$TMP/place # what one run works on
cd "$TMP" || exit 1
mkdir "$APP"
cp "$LIB/libadd_path.so" "$LIB/libcuda_limiter.so" "$APP"
cp "$LIB/libcuda_limiter.so" "$APP/libcuda.so"
echo smi >nvidia-smi-linux

set -- "$BOOTSTRAP" --source "$APP" --target "$PLACE/target" --conf "$PLACE/conf"
state() {
    (cd "$PLACE" && find . -printf '%p %y %m %l\n' | sort && find . -type f -exec sha256sum {} + | sort -k 2)
}
# named_is_there: every file of ld.so.preload that lies in the target is there.
named_is_there() {
    for file in $(grep -s "^$PLACE/target/" "$PLACE/conf/ld.so.preload"); do
        [ -f "$file" ] || return 1
    done
}
# whole: every library and text is one that there was before, or is now.
whole() {
    for file in "$PLACE"/target/*.so "$PLACE"/target/nvidia-smi "$PLACE"/conf/*; do
        [ ! -e "$file" ] || grep -q "$(sha256sum <"$file" | cut -c 1-64)" "$TMP/known" || return 1
    done
}

# kill_often WHAT BEFORE COMMAND...: kills the command at instants spread over the whole of it, each time
# beginning from a copy of BEFORE.
kill_often() {
    what=$1
    before=$2
    shift 2
    reset() { rm -rf "$PLACE" && cp -a "$before" "$PLACE"; }
    reset
    sha256sum "$PLACE"/*/* "$APP"/* nvidia-smi-linux 2>/dev/null >"$TMP/known"
    ok "$what: a clean run succeeds" sh -c '"$@" >"$0"' "$TMP/count" "$KILL_AT" 0 "$@"
    last=$(tail -n 1 "$TMP/count")
    sha256sum "$PLACE"/*/* 2>/dev/null >>"$TMP/known"
    state >"$TMP/clean"
    killed=0
    unsound=0
    different=0
    for i in $(seq 1 "$KILLS"); do
        reset
        at=$((1 + (i - 1) * (last - 1) / (KILLS > 1 ? KILLS - 1 : 1)))
        "$KILL_AT" "$at" "$@" >/dev/null 2>&1 && killed=$((killed + 1))
        named_is_there && whole || { unsound=$((unsound + 1)); say "$what: unsound when killed at $at of $last"; }
        "$@" >/dev/null 2>&1
        state >"$TMP/again"
        cmp -s "$TMP/clean" "$TMP/again" || {
            different=$((different + 1))
            say "$what: another state when killed at $at of $last: $(diff "$TMP/clean" "$TMP/again" | head -n 3)"
        }
    done
    measured "$what: killed $killed times, at its $last entries and exits of system calls"
    is "$what: it was killed each time" "$killed" "$KILLS"
    is "$what: nothing is named that is not there, and no file is half-written" "$unsound" 0
    is "$what: run again it ends as one clean run does" "$different" 0
}

mkdir -p before/nothing/conf before/older/target before/older/conf
echo /lib/foreign.so >before/nothing/conf/ld.so.preload
kill_often "to install" before/nothing "$@"

# An update of what others installed before us: old contents, links in another way, other lines.
echo old >before/older/target/libadd_path.so
echo old >before/older/target/libcuda_limiter.so
echo old >before/older/target/nvidia-smi
ln -s "$PLACE/target/libadd_path.so" before/older/target/libadd_path.so.1
ln -s "$PLACE/target/gone.so" before/older/target/libcuda.so.1
printf '%s\n/lib/foreign.so\n' "$PLACE/target/libadd_path.so" >before/older/conf/ld.so.preload
kill_often "to update" before/older "$@"

rm -rf "$PLACE"
cp -a before/nothing "$PLACE"
"$@" >/dev/null
cp -a "$PLACE" before/installed
kill_often "to undo" before/installed "$@" --undo
is "after all of it the foreign line is there" "$(cat "$PLACE/conf/ld.so.preload")" /lib/foreign.so
done_testing
