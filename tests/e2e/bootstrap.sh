#!/bin/sh
# vgpu bootstrap, and the static program that does the same, from the installed tree.
# timeout: 120
. "$(dirname "$0")/lib.sh"

BOOTSTRAP=$LIB/bootstrap
APP=$TMP/app
T=$TMP/target
C=$TMP/conf
cd "$TMP" || exit 1
mkdir "$APP"
cp "$LIB/libadd_path.so" "$LIB/libcuda_limiter.so" "$APP"
echo smi >nvidia-smi-linux

# install OPTION...: by the one or by the other program.
PROGRAM=static
install() {
    if [ "$PROGRAM" = static ]; then
        "$BOOTSTRAP" --source "$APP" --target "$T" --conf "$C" "$@"
    else
        vgpu bootstrap --source "$APP" --target "$T" --conf "$C" "$@"
    fi
}
# state: what lies there, whole; with the numbers of the files, that show whether one was written anew.
state() { find "$T" "$C" \( -type f -exec sha256sum {} + \) -o -type l -printf '%p -> %l\n' | sort; }
exact_state() { find "$T" "$C" -printf '%p %i %m %s %T@ %C@\n' | sort; }
fresh() { rm -rf "$T" "$C"; }
# with_version FILE DIGIT: makes all digits of the version that it carries this one.
with_version() {
    python3 - "$1" "$2" <<'END'
import re, sys
content = open(sys.argv[1], 'rb').read()
found = re.search(rb'vgpu\0\0\0\0([0-9][^\0]*)\0', content)
version = re.sub(rb'[0-9]', sys.argv[2].encode(), found.group(1))
open(sys.argv[1], 'wb').write(content[:found.start(1)] + version + content[found.end(1):])
print(version.decode())
END
}

for PROGRAM in static command; do
    fresh
    is "$PROGRAM: a dry run says what would be done" "$(install --dry-run | wc -l)" 8
    ok "$PROGRAM: and does nothing" test ! -e "$T" -a ! -e "$C"
    install >"$TMP/said"
    is "$PROGRAM: it says what it does" "$(sed 's/would write/wrote/; s/would link/linked/; s/would install/installed/' "$TMP/said")" \
        "$(cat "$TMP/said")"
    is "$PROGRAM: the libraries are named that are there" "$(cat "$C/ld.so.preload")" \
        "$T/libadd_path.so
$T/libcuda_limiter.so"
    is "$PROGRAM: the loader is told of the target" "$(cat "$C/zz_tensor-fusion.conf")" "$T"
    ok "$PROGRAM: the copies are whole" cmp "$T/libcuda_limiter.so" "$LIB/libcuda_limiter.so"
    is "$PROGRAM: each has its link" "$(readlink "$T/libadd_path.so.1" "$T/libcuda_limiter.so.1" | tr '\n' ' ')" \
        "libadd_path.so libcuda_limiter.so "
    ok "$PROGRAM: nvidia-smi is installed" test -x "$T/nvidia-smi"
    exact_state >"$TMP/before"
    is "$PROGRAM: a second run says nothing" "$(install 2>&1)" ""
    is "$PROGRAM: and changes nothing" "$(exact_state)" "$(cat "$TMP/before")"
    state >"$TMP/state.$PROGRAM"
    install --undo >/dev/null
    is "$PROGRAM: after an undo nothing is left" "$(find "$T" "$C" ! -type d)" ""
    is "$PROGRAM: undone twice is undone" "$(install --undo 2>&1; echo $?)" 0
done
is "both programs do the same" "$(cat "$TMP/state.command")" "$(cat "$TMP/state.static")"
PROGRAM=static

fresh
mkdir "$C"
printf '# mine\n/lib/foreign.so   /lib/other.so\n/lib/last.so' >"$C/ld.so.preload"
install >/dev/null
is "foreign lines are kept, and ours come behind them" "$(cat "$C/ld.so.preload")" "# mine
/lib/foreign.so   /lib/other.so
/lib/last.so
$T/libadd_path.so
$T/libcuda_limiter.so"
printf '/lib/later.so\n' >>"$C/ld.so.preload"
is "one that came later stays behind them" "$(install; tail -n 1 "$C/ld.so.preload")" /lib/later.so
is "without the limiter its line goes, others stay" \
    "$(DISABLE_GPU_LIMITER=true install >/dev/null; cat "$C/ld.so.preload")" "# mine
/lib/foreign.so   /lib/other.so
/lib/last.so
/lib/later.so
$T/libadd_path.so"
install --undo >/dev/null
is "an undo leaves what is foreign" "$(cat "$C/ld.so.preload")" "# mine
/lib/foreign.so   /lib/other.so
/lib/last.so
/lib/later.so"

# The stubs, which are named where they are there, and nowhere else.
fresh
cp "$LIB/libcuda_limiter.so" "$APP/libcuda.so" # any library will do
is "stubs stand in for a limiter that is not wanted" \
    "$(install --no-limiter >/dev/null; cat "$C/ld.so.preload")" "$T/libadd_path.so
$T/libcuda.so"
is "as they do where there is no limiter" \
    "$(rm "$APP/libcuda_limiter.so"; install >/dev/null 2>&1; cat "$C/ld.so.preload")" "$T/libadd_path.so
$T/libcuda.so"
is "every file that is named is there" "$(xargs ls <"$C/ld.so.preload" | wc -l)" 2
rm "$APP/libcuda.so"
cp "$LIB/libcuda_limiter.so" "$APP"
fresh
is "RUN_INSIDE_GPU_NODE=true: no nvidia-smi" "$(RUN_INSIDE_GPU_NODE=true install >/dev/null; find "$T" -name nvidia-smi)" ""
fresh
is "a file that is not there is no error" "$(install --nvidia-smi /nowhere 2>&1 | grep -c smi; ls "$T" | wc -l)" "0
4"

# Links.
fresh
mkdir "$T"
ln -s "$T/libadd_path.so" "$T/libadd_path.so.1" # as others wrote it, and it dangles
ln -s /opt/libcuda_limiter.so "$T/libcuda_limiter.so.1"
ln -s "$T/libnvidia-ml.so" "$T/libnvidia-ml.so.1"
cp "$LIB/libcuda_limiter.so" "$APP/libnvidia-ml.so"
install >/dev/null 2>"$TMP/err"
is "a dangling link of ours is replaced" "$(readlink "$T/libadd_path.so.1")" libadd_path.so
ok "and leads somewhere" test -e "$T/libnvidia-ml.so.1"
is "a foreign link is not replaced, dangling or not" "$(readlink "$T/libcuda_limiter.so.1")" /opt/libcuda_limiter.so
is "which is said" "$(grep -c "libcuda_limiter.so.1' is left alone" "$TMP/err")" 1
install --undo >/dev/null 2>&1
is "an undo leaves the foreign link, and none of ours" "$(cd "$T" && ls)" libcuda_limiter.so.1
rm "$APP/libnvidia-ml.so"
fresh
mkdir "$T"
ln -s /dev/null "$T/libadd_path.so"
install >/dev/null 2>&1
is "a foreign link in a library's place is left, and not named" "$(readlink "$T/libadd_path.so") $(cat "$C/ld.so.preload")" \
    "/dev/null $T/libcuda_limiter.so"

# Versions.
fresh
install >/dev/null
cp "$LIB/libadd_path.so" "$TMP/current"
older=$(with_version "$APP/libadd_path.so" 0)
is "an older library does not replace a newer one" "$(install 2>&1 | grep -c "is kept: .*the source $older")" 1
ok "which is whole" cmp "$T/libadd_path.so" "$TMP/current"
ok "but is still named" grep -q libadd_path "$C/ld.so.preload"
echo nonsense >"$APP/libadd_path.so"
is "nor does one without a version" "$(install 2>&1 | grep -c 'is kept: .*the source none')" 1
with_version "$APP/libcuda_limiter.so" 9 >/dev/null
cp "$TMP/current" "$APP/libadd_path.so"
with_version "$APP/libadd_path.so" 0 >/dev/null
install --downgrade >/dev/null
ok "unless it is told to" cmp "$T/libadd_path.so" "$APP/libadd_path.so"
ok "a newer library replaces an older one" cmp "$T/libcuda_limiter.so" "$APP/libcuda_limiter.so"
cp "$TMP/current" "$APP/libadd_path.so"
install >/dev/null
ok "even so" cmp "$T/libadd_path.so" "$TMP/current"
head -c 1000 "$TMP/current" >"$T/libadd_path.so"
ok "a broken library is replaced" install
ok "by a whole one" cmp "$T/libadd_path.so" "$TMP/current"
cp "$LIB/libcuda_limiter.so" "$APP"

# What is asked wrongly, or cannot be done, is said and leaves things as they are.
is "a target that ld.so.preload cannot name is refused" "$(install --target "$TMP/a b" 2>/dev/null; echo $?)" 2
is "a relative target is refused" "$(install --target t 2>/dev/null; echo $?)" 2
is "an unknown option is refused" "$(install --sauce x 2>/dev/null; echo $?)" 2
is "a source that was named has to be there" "$(install --source /nowhere 2>/dev/null; echo $?)" 1
fresh
install >/dev/null
state >"$TMP/before"
with_version "$APP/libcuda_limiter.so" 9 >/dev/null
is "where a file cannot be written it fails" "$(trap '' XFSZ; ulimit -f 8; install >/dev/null 2>&1; echo $?)" 1
is "and the old one is there, whole, and nothing else" "$(state)" "$(cat "$TMP/before")"
cp "$LIB/libcuda_limiter.so" "$APP"

# Several at once: one after the other, and the state of one.
fresh
for _ in 1 2 3 4 5 6; do
    install >/dev/null 2>&1 &
done
wait
state >"$TMP/together"
fresh
install >/dev/null
is "six at once leave what one leaves" "$(cat "$TMP/together")" "$(state)"

ok "the program is static" sh -c "! readelf -lW '$BOOTSTRAP' | grep -q -e INTERP -e DYNAMIC"
at_most "the program's size, KiB" "$(($(stat -c %s "$BOOTSTRAP") / 1024))" 1024
MANUAL=$VGPU_STAGE/share/man/man1/vgpu-bootstrap.1
for word in source target conf nvidia-smi no-limiter gpu-node downgrade dry-run undo; do
    ok "the manual has --$word" grep -qF -e "$(echo "--$word" | sed 's/-/\\-/g')" "$MANUAL"
    ok "the program's help has --$word" sh -c "'$BOOTSTRAP' --help | grep -q -e '--$word'"
done
ok "the manual has the variables" grep -q 'DISABLE_GPU_LIMITER=true' "$MANUAL"
ok "both of them" grep -q 'RUN_INSIDE_GPU_NODE=true' "$MANUAL"
done_testing
