#!/bin/sh
# The program `bootstrap` in a root that has nothing but itself, and a container that starts with what it
# installed, at the paths that pods have. Needs root.
# timeout: 120
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || { echo "1..0 # skip only root may chroot"; exit 77; }
[ -z "${VGPU_TEST_SANITIZED:-}" ] || GUESTS=$VGPU_GUESTS
CHROOT=$(command -v chroot)

mkdir "$TMP/empty"
cp "$LIB/bootstrap" "$TMP/empty/"
is "in an empty root it runs, without a variable and with nothing open" \
    "$(env -i "$CHROOT" "$TMP/empty" /bootstrap >/dev/null 2>&1 <&- >&- 2>&-; echo $?)" 0
is "it made the two folders and their files" "$(cd "$TMP/empty" && find . -type f | sort | tr '\n' ' ')" \
    "./bootstrap ./tensor-fusion-conf/ld.so.preload ./tensor-fusion-conf/zz_tensor-fusion.conf "
is "and named nothing, as there is nothing" "$(cat "$TMP/empty/tensor-fusion-conf/ld.so.preload")" ""
is "it says that there was nothing to install" "$(env -i "$CHROOT" "$TMP/empty" /bootstrap 2>&1)" \
    "vgpu: bootstrap: '/home/app' is not there: no library is installed"
ok "its help is there too" env -i "$CHROOT" "$TMP/empty" /bootstrap --help
is "undone, nothing is left" "$(env -i "$CHROOT" "$TMP/empty" /bootstrap --undo >/dev/null 2>&1;
    find "$TMP/empty" ! -type d)" "$TMP/empty/bootstrap"

# An init container as it is meant: the program, what it installs, and the volumes.
mkdir -p "$TMP/init/home/app"
cp "$LIB/bootstrap" "$TMP/init/"
cp "$LIB/libadd_path.so" "$LIB/libcuda_limiter.so" "$TMP/init/home/app/"
echo smi >"$TMP/init/nvidia-smi-linux"
ok "with the libraries at their place it installs them" env -i "$CHROOT" "$TMP/init" /bootstrap
is "by the names that pods have" "$(cat "$TMP/init/tensor-fusion-conf/ld.so.preload" \
    "$TMP/init/tensor-fusion-conf/zz_tensor-fusion.conf" | tr '\n' ' ')" \
    "/tensor-fusion/libadd_path.so /tensor-fusion/libcuda_limiter.so /tensor-fusion"
ok "nvidia-smi is taken from the current folder" test -x "$TMP/init/tensor-fusion/nvidia-smi"

# The container of the tenant, with the volume and the two files.
make_root "$TMP/tenant" "$GUESTS/surroundings" /bin/sh
cp -a "$TMP/init/tensor-fusion" "$TMP/tenant/"
cp "$TMP/init/tensor-fusion-conf/ld.so.preload" "$TMP/tenant/etc/"
cp "$GUESTS/surroundings" "$TMP/tenant/"
env -i PATH=/p TF_PREPEND_PATH=/tensor-fusion "$CHROOT" "$TMP/tenant" /surroundings PATH >"$TMP/out" 2>"$TMP/err"
is "a program there has the library at work" "$(grep -e getenv -e library "$TMP/out" | tr '\n' ' ')" \
    "getenv=/tensor-fusion:/p library=yes "
is "and the loader says nothing" "$(cat "$TMP/err")" ""
done_testing
