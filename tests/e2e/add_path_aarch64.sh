#!/bin/sh
# add_path.sh for 64-bit ARM: programs of Debian's under qemu-user, with the library of `make aarch64`.
# timeout: 240
. "$(dirname "$0")/lib.sh"

BUILD_AARCH64=$ROOT/build-aarch64
SYSROOT=$ROOT/build/sysroot-arm64
ADD_PATH=$BUILD_AARCH64/stage/usr/lib/vgpu/libadd_path.so
if ! command -v qemu-aarch64 >/dev/null || [ ! -e "$ADD_PATH" ] || [ ! -e "$SYSROOT/bin/dash" ]; then
    echo "1..0 # skip there is no build for aarch64, no qemu-aarch64 or no sysroot: make aarch64"
    exit 77
fi
if [ -n "$(find "$ROOT/src/add-path" -name '*.[ch]' -newer "$ADD_PATH")" ]; then
    echo "1..0 # skip the library for aarch64 is older than its sources: make aarch64"
    exit 77
fi

MACHINE=emulated
WRAPPERS=$TMP/bin
mkdir "$WRAPPERS"
# wrap NAME PROGRAM ARGUMENT...: a program of this machine that runs one of the other, with TEST_PRELOAD in its
# LD_PRELOAD. The emulator's -E takes no commas, which no path here has.
wrap() {
    wrap_name=$1
    shift
    cat >"$WRAPPERS/$wrap_name" <<END
#!/bin/sh
exec /usr/bin/env -u TEST_PRELOAD $(command -v qemu-aarch64) -L '$SYSROOT' \\
    -E "LD_PRELOAD=\${TEST_PRELOAD-$ADD_PATH}" $* "\$@"
END
    chmod +x "$WRAPPERS/$wrap_name"
}
wrap env "$SYSROOT/usr/bin/env"
wrap sh "$SYSROOT/bin/dash"
wrap python "$SYSROOT/usr/bin/python3"
wrap busybox "$SYSROOT/bin/busybox"
wrap surroundings "$BUILD_AARCH64/tests/guest/surroundings"
wrap loader "$SYSROOT/lib/ld-linux-aarch64.so.1"
sed -i 's/-E "LD_PRELOAD=[^ ]*"/-U LD_PRELOAD/' "$WRAPPERS/loader"
ENV=$WRAPPERS/env SHELL_PROGRAM=$WRAPPERS/sh PYTHON=$WRAPPERS/python BUSYBOX=$WRAPPERS/busybox
SURROUNDINGS=$WRAPPERS/surroundings LOADER=$WRAPPERS/loader LOADED_ENV=$SYSROOT/usr/bin/env

. "$(dirname "$0")/add_path.sh"
