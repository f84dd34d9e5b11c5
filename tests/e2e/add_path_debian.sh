#!/bin/sh
# Every program of a Debian container behaves the same with libadd_path.so in /etc/ld.so.preload as without it, and
# with nonsense in each of its variables too. Only in `make check-full`, as root: it installs a Debian into a folder.
# timeout: 60
. "$(dirname "$0")/lib.sh"
[ "$FULL" = 1 ] || { echo "1..0 # skip only with VGPU_TEST_FULL=1: it installs a Debian"; exit 77; }
[ "$(id -u)" -eq 0 ] || { echo "1..0 # skip only root may chroot"; exit 77; }
command -v debootstrap >/dev/null || { echo "1..0 # skip no debootstrap (tools/deps --dev)"; exit 77; }
# shellcheck source=/dev/null
SUITE=$(. /etc/os-release && echo "$VERSION_CODENAME")
DEBIAN=$TMP/debian
debootstrap --variant=minbase --include=perl,python3-minimal,file,less,bsdextrautils,procps "$SUITE" "$DEBIAN" \
    >"$TMP/debootstrap" 2>&1 || {
    tail -n 5 "$TMP/debootstrap" | sed 's/^/# /'
    echo "1..0 # skip debootstrap cannot install a $SUITE here"
    exit 77
}
cp "$LIB/libadd_path.so" "$DEBIAN/usr/lib/"
chmod 755 "$TMP"

CHROOT=$(command -v chroot)
# Without elements that are files, or too long for names: in PATH these make the errno of looking for a program
# another, and there are scripts whose status is that errno.
NONSENSE=$(printf ':::;;  \\\001\377/x/../%%s:=:,$(reboot)%0200d' 7)

# behaviour VARIABLE=VALUE... PROGRAM OPTION: what a program does as nobody, in a folder of its own, with nothing to
# read and 5 s at most: its status and what it says. What the loader says of libraries that nonsense in
# TF_LD_PRELOAD names is not counted: scripts start programs that have it in LD_PRELOAD then.
behaviour() {
    rm -rf "$DEBIAN/tmp/work"
    mkdir -m 777 "$DEBIAN/tmp/work"
    for word; do
        shift
        case $word in /*) set -- "$@" timeout -k 1 5 "$CHROOT" --userspec=65534:65534 "$DEBIAN" ;; esac
        set -- "$@" "$word"
    done
    env -i HOME=/tmp/work PATH=/usr/sbin:/usr/bin LC_ALL=C PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 PYTHONHASHSEED=0 \
        "$@" </dev/null >"$TMP/out" 2>"$TMP/err"
    echo "status $?"
    cat "$TMP/out"
    LC_ALL=C grep -av 'ERROR: ld.so: object .* from LD_PRELOAD cannot be preloaded' "$TMP/err"
}
with_line() {
    echo /usr/lib/libadd_path.so >"$DEBIAN/etc/ld.so.preload"
    behaviour "$@"
    rm "$DEBIAN/etc/ld.so.preload"
}

# is_unsteady PROGRAM OPTION: without the library it does not do each time what it did in $TMP/plain.
is_unsteady() {
    for _ in 1 2 3 4; do
        behaviour "$@" >"$TMP/again"
        cmp -s "$TMP/plain" "$TMP/again" || return 0
    done
    return 1
}

is "the container has the library" \
    "$(with_line TF_PATH=/q /usr/bin/env | grep ^PATH=)" PATH=/usr/sbin:/usr/bin:/q
programs=0
unsteady=0
different=0
for program in "$DEBIAN"/usr/bin/*; do
    program=${program#"$DEBIAN"}
    [ -x "$DEBIAN$program" ] || continue # a link out of the container
    for option in --version --help; do
        programs=$((programs + 1))
        behaviour "$program" "$option" >"$TMP/plain"
        with_line "$program" "$option" >"$TMP/with"
        with_line TF_PATH=/opt/a:/opt/b TF_PREPEND_LD_LIBRARY_PATH=/opt/lib "$program" "$option" >"$TMP/adding"
        with_line TF_PATH="$NONSENSE" TF_LD_PRELOAD="$NONSENSE:/etc/passwd" TF_LD_LIBRARY_PATH="$NONSENSE:/etc/passwd" \
            TF_PREPEND_PATH="$NONSENSE" TF_PREPEND_LD_PRELOAD="$NONSENSE" TF_PREPEND_LD_LIBRARY_PATH="$NONSENSE" \
            TF_PATH_VARIABLES="$NONSENSE" "TF_APPEND_x=$NONSENSE" "TF_PREPEND_=$NONSENSE" \
            "$program" "$option" >"$TMP/nonsense"
        if cmp -s "$TMP/plain" "$TMP/with" && cmp -s "$TMP/plain" "$TMP/adding" && cmp -s "$TMP/plain" "$TMP/nonsense"; then
            continue
        fi
        if is_unsteady "$program" "$option"; then
            # What it says has a time or a number in it: then its status has to do.
            unsteady=$((unsteady + 1))
            for file in plain with adding nonsense; do
                sed -i '2,$d' "$TMP/$file"
            done
        fi
        for file in with adding nonsense; do
            cmp -s "$TMP/plain" "$TMP/$file" && continue
            different=$((different + 1))
            say "$program $option, $file: $(diff -a "$TMP/plain" "$TMP/$file" | head -n 4 | cut -c 1-200)"
        done
    done
done
measured "programs and options of a Debian $SUITE: $programs, of which $unsteady say another thing each time"
at_least "every program of the container was started" "$programs" 400
is "all behave as they do without the library, also with nonsense in each variable" "$different" 0
done_testing
