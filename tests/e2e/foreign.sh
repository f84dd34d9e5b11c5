#!/bin/sh
# Processes that use a GPU without a tenant are seen beside tenants; the policy that ends them never hits a
# tenant's process, however new it is. A GPU that is lost and returns, and an NVML that comes later, are followed.
# timeout: 120
. "$(dirname "$0")/lib.sh"
on_simulator --gpus 2 "$@"

set_fault() { "$VGPU_STAGE/lib/vgpu/sim/vgpu-sim" --set-fault "$1"; }
# watch POLICY INTERVAL-MS: an onlooker; known PATH is what it knows.
watch() {
    rm -f "$TMP/known"
    background_as onlooker "$GUESTS/onlooker" "$1" "$2" "$TMP/known"
    wait_for 10 test -s "$TMP/known"
}
unwatch() {
    kill -TERM "$PID_onlooker"
    wait "$PID_onlooker"
}
known() { get "$TMP/known" "$1"; }
knows() { [ "$(known "$1")" = "$2" ]; }
is_more() { [ "$(known "$1")" -ge "$2" ]; }
events() { grep -c "^$1 $2 " "$TMP/onlooker.out"; }
has_event() { grep -q "^$1 $2 " "$TMP/onlooker.out"; }
# later: two more readings were looked at.
later() { wait_for 10 is_more sequence $(($(known sequence) + 2)); }
hold() {
    background_as "$@"
    wait_for 10 grep -q ready "$TMP/$1.out"
}

# --- what the cards say ---

ok "an onlooker reads the cards" watch ignore 50
is "both" "$(known 'gpus.#')" 2
is "with their memory" "$(known gpus.1.memory_bytes)" 85520809984
is "what a simulated card does not measure is not known" \
    "$(known gpus.0.temperature_celsius) $(known gpus.0.power_milliwatts)" 'null null'
is "nobody is foreign" "$(known 'foreign.#')" 0

# --- beside a tenant ---

hold a vgpu run --name a --gpu 0 -- "$GUESTS/memory" hold 100000000
worker=$(ps_get name=a.processes.0.pid)
hold alien "$GUESTS/memory" hold 200000000
ok "a process without a tenant is foreign" wait_for 10 knows foreign.0.pid "$PID_alien"
is "on its card" "$(known foreign.0.gpu)" 0
ok "with its memory" is_more foreign.0.memory_bytes 200000000
later
is "the tenant's is not" "$(known 'foreign.#')" 1
is "NVML has of the tenant what its ledger has" "$(known gpus.0.tenants.a)" \
    "$(ps_get name=a.gpus.0.memory_used_bytes)"
is "and on the other card nothing" "$(known gpus.1.tenants.a)" 0
is "that it was found is said once" "$(events foreign-found "$PID_alien")" 1
kill -TERM "$PID_alien"
ok "it is gone when it ends" wait_for 10 knows 'foreign.#' 0
ok "which is said" has_event foreign-gone "$PID_alien"
ok "the tenant's process lives" kill -0 "$worker"

# --- lost, and back ---

set_fault gpu-lost=1
ok "a GPU that is lost is seen" wait_for 10 knows gpus.1.is_lost true
is "and nothing more is known of it" "$(known gpus.1.memory_used_bytes) $(known gpus.1.tenants.a)" 'null null'
is "the other one is there" "$(known gpus.0.is_lost)" false
set_fault gpu-lost=off
ok "it is back" wait_for 10 knows gpus.1.is_lost false
ok "with its memory" wait_for 10 knows gpus.1.memory_used_bytes 0
ok "and works" vgpu run --gpu 1 -- "$GUESTS/memory" start
ok "the tenant of the other GPU did not notice" kill -0 "$worker"
unwatch

# --- policy stop ---

watch stop 20
# It may be ended before it says that it is ready.
background_as alien "$GUESTS/memory" hold 200000000
ok "an alien is ended" wait_for 10 is_gone "$PID_alien"
ok "which is said" wait_for 10 has_event foreign-stopped "$PID_alien"
background_as stubborn sh -c 'trap "" TERM; exec "$0" hold 200000000' "$GUESTS/memory"
ok "one that does not want to is asked" wait_for 10 has_event foreign-stopped "$PID_stubborn"
before=$(now_ns)
later

# Meanwhile tenants come and go, and their processes.
count=$(full 60 12)
runs=0
while [ "$runs" -lt "$count" ] && vgpu run --gpu $((runs % 2)) -- "$GUESTS/memory" start >"$TMP/out" 2>&1; do
    runs=$((runs + 1))
done
is "tenants that begin and end beside it are let be" "$runs" "$count"
# shellcheck disable=SC2016 # the inner shell's
ok "as are a tenant's processes, one after another and side by side" vgpu run --name many -- sh -c '
    for i in $(seq "$1"); do
        "$0" start >/dev/null & "$0" start >/dev/null || exit 1
        wait $! || exit 1
    done' "$GUESTS/memory" "$((count / 2))"
supervisor=$(ps_get name=a.supervisor_pid)
kill -KILL "$supervisor"
has_other_supervisor() {
    other=$(ps_get name=a.supervisor_pid)
    [ "$other" != missing ] && [ "$other" != null ] && [ "$other" != "$supervisor" ]
}
ok "a tenant whose supervisor is replaced" wait_for 10 has_other_supervisor
later
later
ok "keeps its process" kill -0 "$worker"

ok "who did not want to is killed" wait_for 15 is_gone "$PID_stubborn"
at_least "after five seconds, s" "$(calc "($(now_ns) - $before) / 1e9")" 4.5
is "and was asked once and killed once" "$(events foreign-stopped "$PID_stubborn")" 2
is "nobody else was foreign" "$(grep -cv -e " $PID_alien " -e " $PID_stubborn " "$TMP/onlooker.out")" 0
ok "the tenant's process was never hit" kill -0 "$worker"
end a
unwatch

# --- no NVML ---

set_fault no-nvml
ok "an onlooker without NVML" watch stop 20
is "knows that" "$(known has_nvml)" false
is "says so once" "$(grep -c 'no NVML' "$TMP/onlooker.err")" 1
set_fault no-nvml=off
ok "and finds it when it comes" wait_for 10 knows has_nvml true
is "with both cards" "$(known 'gpus.#')" 2
ok "no tenant is left" wait_for 5 has_no_folders
done_testing
