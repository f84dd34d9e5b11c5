#!/bin/sh
# libadd_path.so in /etc/ld.so.preload of a container, which is a folder to chroot into here: every program has
# it, and those that run with more rights than their caller has are let be. Needs root.
# timeout: 120
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || { echo "1..0 # skip only root may chroot and make programs setuid"; exit 77; }

ENV=$(command -v env)
CHROOT=$(command -v chroot)
SURROUNDINGS=$GUESTS/surroundings
[ -z "${VGPU_TEST_SANITIZED:-}" ] || SURROUNDINGS=$VGPU_GUESTS/surroundings
make_root "$TMP/root" "$ENV" /bin/sh
cp "$LIB/libadd_path.so" "$TMP/root/"
chmod 755 "$TMP" "$TMP/root"

# copies PROGRAM FOLDER: three copies of it, with the rights that their names say.
copies() {
    for kind in plain setuid setgid; do
        cp "$1" "$2/$kind"
    done
    chown 0:1 "$2/setgid"
    chmod 755 "$2/plain"
    chmod 4755 "$2/setuid"
    chmod 2755 "$2/setgid"
}
copies "$SURROUNDINGS" "$TMP/root"

# found PROGRAM: what it finds in PATH, and whether it has the library, as nobody in the container.
found() {
    env -i PATH=/p TF_PREPEND_PATH=/q "$CHROOT" --userspec=65534:65534 "$TMP/root" "$1" PATH |
        grep -e getenv -e library | tr '\n' ' '
}

is "without a line in ld.so.preload nothing happens" "$(found /plain)" "getenv=/p library=no "
echo /libadd_path.so >"$TMP/root/etc/ld.so.preload"
is "with it a program finds what is added" "$(found /plain)" "getenv=/q:/p library=yes "
is "a setuid program has the library, which does nothing in it" "$(found /setuid)" "getenv=/p library=yes "
is "a setgid program likewise" "$(found /setgid)" "getenv=/p library=yes "
is "a program that another one starts finds it once" \
    "$(env -i PATH=/p TF_PREPEND_PATH=/q "$CHROOT" --userspec=65534:65534 "$TMP/root" /bin/sh -c "exec $ENV" |
        grep ^PATH=)" PATH=/q:/p

# Nonsense, for the whole container.
for nonsense in ::: "$(awk 'BEGIN { for (i = 0; i < 9000; i++) printf "/x%d:", i }')"; do
    got=$(env -i PATH=/p "TF_PATH=$nonsense" "TF_PREPEND_PATH=$nonsense" "TF_LD_LIBRARY_PATH=$nonsense" \
        "TF_PATH_VARIABLES=$nonsense" "$CHROOT" "$TMP/root" /bin/sh -c 'echo started' 2>&1)
    is "whatever the variables hold, a program starts ($(printf %.6s "$nonsense"))" "$got" started
done
printf '/nowhere.so\n/libadd_path.so\n' >"$TMP/root/etc/ld.so.preload"
is "a line of somebody else's does not keep it from its work" "$(found /plain 2>/dev/null)" \
    "getenv=/q:/p library=yes "

# The same for 64-bit ARM: a setuid copy of the emulator tells its programs that they have such rights. It has
# the line too, and its own loader complains.
SYSROOT=$ROOT/build/sysroot-arm64
AARCH64=$ROOT/build-aarch64
if command -v qemu-aarch64 >/dev/null && [ -e "$AARCH64/stage/usr/lib/vgpu/libadd_path.so" ] &&
    [ -e "$SYSROOT/lib/aarch64-linux-gnu/libc.so.6" ]; then
    make_root "$TMP/arm" "$(command -v qemu-aarch64)"
    mkdir -p "$TMP/arm/lib/aarch64-linux-gnu"
    cp -L "$SYSROOT/lib/ld-linux-aarch64.so.1" "$TMP/arm/lib/"
    cp -L "$SYSROOT/lib/aarch64-linux-gnu/libc.so.6" "$TMP/arm/lib/aarch64-linux-gnu/"
    cp "$AARCH64/stage/usr/lib/vgpu/libadd_path.so" "$AARCH64/tests/guest/surroundings" "$TMP/arm/"
    echo /libadd_path.so >"$TMP/arm/etc/ld.so.preload"
    chmod 755 "$TMP/arm"
    copies "$(command -v qemu-aarch64)" "$TMP/arm"
    emulated() {
        env -i PATH=/p TF_PREPEND_PATH=/q "$CHROOT" --userspec=65534:65534 "$TMP/arm" "/$1" \
            /surroundings PATH 2>/dev/null | grep -e getenv -e library | tr '\n' ' '
    }
    is "aarch64: a program finds what is added" "$(emulated plain)" "getenv=/q:/p library=yes "
    is "aarch64: a program with more rights has the library, which does nothing in it" "$(emulated setuid)" \
        "getenv=/p library=yes "
else
    skip "aarch64: a program with more rights is let be: no build for it (make aarch64)"
fi
done_testing
