#!/bin/sh
# vgpu-hypervisor's command line, configuration file, manuals and unit.
# shellcheck disable=SC2016 # what is in single quotes is for the inner shell
. "$(dirname "$0")/lib.sh"

D=vgpu-hypervisor
F=$TMP/f.yaml
export VGPU_RUNTIME_DIR="$TMP/run"
unset RUST_LOG TF_LOG_LEVEL VGPU_LOG KUBECONFIG

# said COMMAND...: what it says on stderr, and its status.
said() { { "$@" 2>&1 >&3; } 3>/dev/null; echo $?; }
# value NAME OPTION...: a line of --print-config.
value() {
    value_name=$1
    shift
    $D --print-config --config "$F" "$@" | grep "^$value_name:"
}

# --- help ---

$D --help >"$TMP/help"
is "--help is a success" "$($D --help >/dev/null 2>"$TMP/err"; echo "$?$(cat "$TMP/err")")" 0
ok "it begins with the usage" sh -c 'head -n 1 "$1" | grep -q "^usage: vgpu-hypervisor"' sh "$TMP/help"
ok "-h says the same" sh -c 'vgpu-hypervisor -h | cmp - "$1"' sh "$TMP/help"
ok "daemon --help says the same" sh -c 'vgpu-hypervisor daemon --help | cmp - "$1"' sh "$TMP/help"
ok "the former name says the same" sh -c 'hypervisor --help | cmp - "$1"' sh "$TMP/help"
ok "there is a version" sh -c 'vgpu-hypervisor --version | grep -qx "vgpu-hypervisor [0-9.]*"'
for flag in gpu-metrics-file metrics-batch-size gpu-info-path enable-k8s k8s-namespace node-name gpu-pool kubeconfig \
    api-listen-addr enable-metrics metrics-format metrics-extra-labels kubelet-device-state-path kubelet-socket-path \
    detect-in-used-gpus shared-memory-base-path erl-update-interval-ms scheduling-config device-plugin-path \
    device-plugin-resource-name nvidia-dev-root config print-config check-config; do
    ok "--help tells of --$flag" grep -q -e "^  --$flag\( \|$\)" "$TMP/help"
done
is "an unknown command is asked wrongly" "$(said $D fly)" "vgpu: there is no command 'fly' (--help)
2"
is "an unknown flag names the nearest" "$(said $D --api-soket x)" \
    "vgpu: '--api-soket' is not understood; is '--api-socket' meant?
2"

# --- what is in force ---

echo 'gpu_pool: file' >"$F"
is "a value of the file says where it stands" "$(value gpu_pool)" "gpu_pool: \"file\"  # from $F:1"
is "the environment is above the file" "$(TENSOR_FUSION_POOL_NAME=variable value gpu_pool)" \
    'gpu_pool: "variable"  # environment TENSOR_FUSION_POOL_NAME'
is "a flag is above the environment" "$(TENSOR_FUSION_POOL_NAME=variable value gpu_pool --gpu-pool flag)" \
    'gpu_pool: "flag"  # flag --gpu-pool'
is "a default says that it is one" "$(value api_listen_addr)" 'api_listen_addr: "127.0.0.1:8080"  # default'
is "the node is called as the host" "$(value node_name)" "node_name: \"$(uname -n)\"  # default"
is "the API's socket lies in the runtime directory" "$(value api_socket)" "api_socket: \"$TMP/run/api\"  # default"
ok "nothing is made to say so" test ! -e "$TMP/run"

cat >"$F" <<'END'
queue_seconds: 1m 30s
metrics_extra_labels: {team: "o\"w#n"}
policy:
  - {user: root, exceed: true}
  - everyone: true
    memory: 12.5%
END
$D --config "$F" --print-config --node-name 'a # "b"' >"$TMP/one.yaml"
$D --config "$TMP/one.yaml" --print-config >"$TMP/two.yaml"
values() { sed 's/  # [^#]*$//' "$1"; }
is "what is printed is read back as the same" "$(values "$TMP/two.yaml")" "$(values "$TMP/one.yaml")"
ok "with the policy" grep -q '^  - {everyone: true, memory: 12.5%}  # from ' "$TMP/one.yaml"
is "it is good" "$($D --config "$TMP/one.yaml" --check-config | tail -n 1)" "the configuration is good"
is "what has no effect is said" "$($D --check-config --config "$F" --erl-update-interval-ms 50 | grep erl_)" \
    "option 'erl_update_interval_ms' has no effect: each tenant's windows follow from its own limits"
is "so are labels of pods, which nobody tells us of" "$($D --check-config --config "$F" | head -n 1 | cut -d : -f 1)" \
    "option 'metrics_extra_labels' has no effect"
is "of another program's filter a warning tells" "$(RUST_LOG='hyper,debug' $D --check-config 2>&1)" \
    "vgpu: variable RUST_LOG: levels of the log that are not understood are left out: hyper
the configuration is good"
is "nor has what Kubernetes alone needs, unless it is there for others" \
    "$(KUBECONFIG=/k $D --check-config --config "$F" --k8s-namespace n | grep effect | grep -vc metrics_extra)" 1
ok "the example is good" $D --config "$ROOT/deploy/vgpu-hypervisor.yaml" --check-config

# --- what is refused ---

printf 'log_level: info\napi_sockt: /x\n' >"$F"
is "an unknown key names file, line, column and the nearest" "$(said $D --config "$F" --check-config)" \
    "vgpu: $F:2:1: there is no option 'api_sockt'; is 'api_socket' meant?
2"
printf 'policy:\n  - user: root\n    weight: 0\n' >"$F"
is "so does a bad value of the policy" "$(said $D --config "$F")" \
    "vgpu: $F:3:13: weight: '0' is not between 1 and 1000
2"
printf 'a: [\n' >"$F"
ok "what is no YAML is refused with its line" sh -c 'vgpu-hypervisor --config "$1" 2>&1 | grep -q ":2:1: "' sh "$F"
is "a file that was named has to be there" "$(said $D --config /nowhere.yaml --check-config)" \
    "vgpu: open '/nowhere.yaml': no such file or directory
2"
is "beyond this machine it needs tokens" "$(said env API_LISTEN_ADDR=0.0.0.0:8080 $D --check-config | tail -n 1)" 2
is "with them it does not" "$(said env API_LISTEN_ADDR=0.0.0.0:8080 $D --api-token-file /t --check-config)" 0
is "Kubernetes is refused aloud" "$(said $D --enable-k8s true)" \
    "vgpu: flag --enable-k8s: this build has no Kubernetes support
2"
is "and may be said to be off" "$(said $D --enable-k8s false --check-config)" 0

# --- mount-shm, show-shm, tui ---

is "mount-shm wants a size" "$(said $D mount-shm --size-mb none)" "vgpu: mount-shm: 'none' is not a whole number
2"
is "show-shm wants names that lead nowhere else" "$(said $D show-shm --namespace .. --pod-name x)" \
    "vgpu: show-shm: --namespace and --pod-name have to be names
2"
is "and a file that is there" "$(said $D show-shm --namespace a --pod-name b --shm-base-path "$TMP/none" | tail -n 1)" 1
if unshare -m true 2>/dev/null; then
    is "mount-shm makes a tmpfs of that size, once" "$(unshare -m sh -c '
        vgpu-hypervisor mount-shm --mount-point "$1/a/b" --size-mb 7 >/dev/null &&
        vgpu-hypervisor mount-shm --mount-point "$1/a/b" --size-mb 9 | grep -c already &&
        stat -f -c "%T %b" "$1/a/b" && stat -c %a "$1/a/b" && grep -c " $1/a/b " /proc/self/mountinfo' \
        sh "$TMP" | xargs)" "1 tmpfs $((7 * 1048576 / $(getconf PAGESIZE))) 755 1"
else
    skip "mount-shm makes a tmpfs of that size, once: this user cannot mount"
fi
mkdir "$TMP/bin"
cp "$VGPU_STAGE/bin/vgpu-hypervisor" "$TMP/bin"
printf '#!/bin/sh\necho "$@"\n' >"$TMP/bin/vgpu"
chmod +x "$TMP/bin/vgpu"
tui() { "$TMP/bin/vgpu-hypervisor" tui "$@" 2>&1; }
is "tui is 'vgpu top' of the vgpu beside it" "$(tui)" "top --interval 1"
is "its refresh interval is top's, in seconds" "$(tui --refresh-interval 3) $(tui --refresh-interval=60)" \
    "top --interval 3 top --interval 60"
is "other options of the former tui are said to have no effect" "$(tui --glob '/x/*' --log-path=/l --refresh-interval 2)" \
    "vgpu: tui: '--glob' has no effect: 'vgpu top' asks the tenants and keeps no log
vgpu: tui: '--log-path' has no effect: 'vgpu top' asks the tenants and keeps no log
top --interval 2"
for words in --colour '--refresh-interval 0' '--refresh-interval x' --glob '--globe x' top; do
    # shellcheck disable=SC2086 # words
    is "tui $words is refused" "$(tui $words >"$TMP/out"; echo "$? $(wc -l <"$TMP/out")")" "2 1"
done
for name in tui mount-shm show-shm; do
    is "$name --help is its own" "$($D $name --help | head -n 1 | cut -d ' ' -f 1-3)" "usage: vgpu-hypervisor $name"
    is "and a success" "$($D $name -h >/dev/null; echo $?)" 0
done

# --- manuals and unit ---

for page in man8/vgpu-hypervisor.8 man5/vgpu-hypervisor.yaml.5; do
    ok "there is $page" test -s "$VGPU_STAGE/share/man/$page"
    if command -v groff >/dev/null; then
        is "it formats without a warning" "$(groff -ww -man -Tascii "$VGPU_STAGE/share/man/$page" 2>&1 >/dev/null)" ""
    else
        skip_tool "it formats without a warning: there is no groff"
    fi
done
$D --print-config --config /dev/null | sed -n 's/^\([a-z0-9_]*\):.*/\1/p' | while read -r key; do
    grep -q "^.fB$key.fR" "$VGPU_STAGE/share/man/man5/vgpu-hypervisor.yaml.5" || echo "$key"
done >"$TMP/missing"
is "the manual of the file has every key, and the policy" "$(cat "$TMP/missing")" ""
# The example's lines, without the sign before them, are what the daemon reads.
sed -n 's/^#\(0* [orp]\)/\1/p' "$ROOT/deploy/tokens.example" | awk '{ $1 = NR "000000000000000"; print }' >"$TMP/tokens"
chmod 600 "$TMP/tokens"
is "the example of tokens has one of each kind" "$(cut -d ' ' -f 2 "$TMP/tokens" | xargs)" 'operator reader pod'
background_as tokens vgpu-hypervisor --runtime-dir "$TMP/run" --api-listen-addr '' --api-token-file "$TMP/tokens"
ok "which the daemon reads" wait_for 10 test -S "$TMP/run/api"
UNIT=$VGPU_STAGE/lib/systemd/system/vgpu-hypervisor.service
if command -v systemd-analyze >/dev/null; then
    sed "s|/usr/bin/|$VGPU_STAGE/bin/|" "$UNIT" >"$TMP/vgpu-hypervisor.service"
    is "systemd understands the unit" "$(systemd-analyze --man=no verify "$TMP/vgpu-hypervisor.service" 2>&1)" ""
else
    skip_tool "systemd understands the unit: there is no systemd-analyze"
fi
done_testing
