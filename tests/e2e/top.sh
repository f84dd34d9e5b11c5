#!/bin/sh
# vgpu top --once prints one frame for pipes: GPUs, and a line for each tenant and GPU.
. "$(dirname "$0")/lib.sh"
on_simulator --gpus 2 "$@"

is "without a tenant it says so" "$(vgpu top --once | sed -n 's/^  no tenant/no tenant/p')" \
    'no tenant is running here (vgpu run starts one)'
tenant busy --gpu 0 --compute 30% --memory 8GiB --weight 3 --priority high -- --kernel-us 100 --seconds 3600
background_as idle vgpu run --name idle -- sleep 3600
TENANTS="$TENANTS idle"
ok "tenants" wait_for 10 is_tenant idle
is_measured() { vgpu top --once | grep -q '^  busy  *running  *0  *[0-9.]*%'; }
ok "the busy one's share is shown" wait_for 10 is_measured

vgpu top --once >"$TMP/frame"
is "the GPUs are" "$(grep -c '^GPU [01] ' "$TMP/frame")" 2
is "with the sums of caps and limits" "$(sed -n 's/^GPU 0 .*caps  *\([0-9.%]*\) .*limits  *\([^ ]*\) .*/\1 \2/p' "$TMP/frame")" \
    '30.0% 8.0GiB'
is "limits, weight and priority are" "$(awk '$1 == "busy" { print $2, $3, $5, $8 }' "$TMP/frame")" 'running 0 30.0% 8.0GiB'
ok "weight and priority are" grep -q '^  busy .* high  *3 ' "$TMP/frame"
is "a tenant has a line for each GPU" "$(grep -c '^  idle\|^   *1 ' "$TMP/frame")" 2
is "what is not known is -" "$(awk '$1 == "idle" { print $4, $5, $8 }' "$TMP/frame")" '- - -'
is "the busiest is first" "$(awk '$2 == "running" { print $1 }' "$TMP/frame" | xargs)" 'busy idle'
is "not in colour" "$(grep -c "$(printf '\033')" "$TMP/frame")" 0
is "by name" "$(vgpu top --once --sort name --filter l | awk '$2 == "running" { print $1 }' | xargs)" idle
ok "a pipe needs no --once" sh -c 'vgpu top </dev/null | grep -q "^  busy"'
is "nor a terminal's name" "$(TERM="" vgpu top --once | grep -c '^  busy')" 1
for wrong in '--sort size' '--interval 0' '--interval x' 'name' '--interval 4000'; do
    # shellcheck disable=SC2086 # words
    is "refused: $wrong" "$(vgpu top $wrong >/dev/null 2>&1; echo $?)" 2
done
at=$(now_ns)
vgpu top --once >/dev/null
at_most "a frame, ms" "$((($(now_ns) - at) / 1000000))" 1000
end busy
kill -TERM "$(pgrep -P "$PID_idle" -x sleep)"
ok "all end" wait_for 5 is_no_tenant idle
done_testing
