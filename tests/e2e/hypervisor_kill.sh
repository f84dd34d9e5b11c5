#!/bin/sh
# A daemon that is killed and started anew, over and over, at random instants: its tenants run on with their
# caps and their memory limit. Killed together with a supervisor, or with one that is stopped, it has the cap
# back within a second of its start.
# timeout: 150
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator "$@"

ask="$ROOT/tests/e2e/node_ask.py"
rounds=$(full 100 10)
limit=2147483648 # two contexts of 500 MiB, 100 MB, and room
seed=4711
random() { # below $1
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    random=$((seed / 65536 % $1))
}
supervisor() { ps_get "name=$1.supervisor_pid"; }
files() { stat -c '%i %n' "$VGPU_RUNTIME_DIR"/tenants/*/control "$VGPU_RUNTIME_DIR"/tenants/*/lock; }
knows_all() { [ "$("$ask" list | sort | xargs)" = 'a b free m' ]; }
now_ms() { date +%s%3N; }

start_daemon
neighbour free -- --kernel-us 100
tenant a --compute 30% -- --kernel-us 100 --warm-up 1 --seconds 3600 --trace "$TMP/a.trace"
tenant b --compute 20% -- --kernel-us 100 --warm-up 1 --seconds 3600 --trace "$TMP/b.trace"
# shellcheck disable=SC2016 # the inner shell's variables
background_as m vgpu run --name m --memory $limit -- sh -c '
    "$0/memory" hold 100000000 & while [ ! -e "$1/stop" ]; do "$0/memory" limit >>"$1/limits"; done
    kill $!' "$GUESTS" "$TMP"
TENANTS="$TENANTS m"
for name in free a b m; do
    ok "tenant $name is there" wait_for 20 is_busy $name
done
ok "the first cap holds" wait_for 20 is_at "$TMP/a.trace" 25 35
ok "and the second" wait_for 20 is_at "$TMP/b.trace" 15 25

# --- the daemon alone ---

supervisors="$(supervisor a) $(supervisor b) $(supervisor free) $(supervisor m)"
before=$(files)
begun=$(now_ns)
known=0
refused=0
worst=0
for round in $(seq "$rounds"); do
    random 300
    sleep "0.$(printf %03d "$random")"
    kill_daemon
    random 300
    sleep "0.$(printf %03d "$random")"
    started=$(now_ms)
    start_daemon
    wait_for 5 knows_all && known=$((known + 1))
    took=$(($(now_ms) - started))
    [ "$took" -le "$worst" ] || worst=$took
    [ "$(files)" = "$before" ] || refused=$((refused + 1))
done
ended=$(now_ns)
is "each of $rounds daemons knows the tenants of the one before" "$known" "$rounds"
measured "longest until it knew them, with the start of those that ask, ms: $worst"
is "no socket and no lock of a tenant was made anew" "$refused" 0
is "nor a supervisor" "$(supervisor a) $(supervisor b) $(supervisor free) $(supervisor m)" "$supervisors"

# mean_range TRACE FROM TO: the least and the greatest mean of a second (10 windows) between the two instants.
mean_range() {
    awk -v from="$2" -v to="$3" '$1 >= from && $1 <= to {
            sum += $2 - was[n % 10]; was[n++ % 10] = $2
            if (n < 10) next
            if (n == 10 || sum / 10 < least) least = sum / 10
            if (sum / 10 > most) most = sum / 10
        } END { printf "%.2f %.2f", least, most }' "$1"
}
for pair in a=30 b=20; do
    name=${pair%=*}
    cap=${pair#*=}
    range=$(mean_range "$TMP/$name.trace" "$begun" "$ended")
    at_least "cap of $cap %: the least of any second meanwhile" "${range% *}" $((cap - 4))
    at_most "cap of $cap %: the most" "${range#* }" $((cap + 4)) # off for 100 ms it would be 7 more
done

# --- the daemon and a supervisor ---

# lose_both SIGNAL: a daemon that is killed while a supervisor is killed or stopped; fills $took.
lose_both() {
    both_pid=$(supervisor a)
    kill -"$1" "$both_pid"
    kill_daemon
    random 200
    sleep "0.$(printf %03d "$random")"
    since=$(now_ns)
    both_begun=$(now_ms)
    start_daemon
    wait_for 8 is_at "$TMP/a.trace" 25 35 "$since"
    capped_again=$?
    took=$(($(now_ms) - both_begun))
    wait_for 8 has_other_supervisor || return 1
    return $capped_again
}
has_other_supervisor() {
    other=$(supervisor a)
    [ "$other" != missing ] && [ "$other" != null ] && [ "$other" != 0 ] && [ "$other" != "$both_pid" ]
}
for signal in KILL STOP; do
    back=0
    worst=0
    count=$(full 20 3)
    for round in $(seq "$count"); do
        random 300
        sleep "0.$(printf %03d "$random")"
        lose_both $signal && back=$((back + 1))
        [ "$took" -le "$worst" ] || worst=$took
    done
    is "daemon killed, supervisor SIG$signal: each time another one, and the cap is back" "$back" "$count"
    at_most "the longest until then, from the daemon's start, ms" "$worst" 1000
done

# --- a supervisor alone ---

# One of the running daemon's own, and one that it took over from a daemon before it.
lose_one() {
    both_pid=$(supervisor a)
    since=$(now_ns)
    both_begun=$(now_ms)
    kill -"$1" "$both_pid"
    wait_for 8 has_other_supervisor && wait_for 8 is_at "$TMP/a.trace" 25 35 "$since"
    capped_again=$?
    took=$(($(now_ms) - both_begun))
    return $capped_again
}
for signal in KILL STOP; do
    for origin in own inherited; do
        back=0
        worst=0
        count=$(full 20 2)
        for round in $(seq "$count"); do
            if [ $origin = inherited ]; then
                kill_daemon
                start_daemon
                wait_for 5 knows_all
            fi
            random 300
            sleep "0.$(printf %03d "$random")"
            lose_one $signal && back=$((back + 1))
            [ "$took" -le "$worst" ] || worst=$took
        done
        is "SIG$signal to a supervisor, $origin: each time another one, and the cap is back" "$back" "$count"
        at_most "the longest until then, ms" "$worst" 1000
    done
done

# --- what they all had of it ---

touch "$TMP/stop"
wait "$PID_m"
at_least "memory: so often a process took all that there is" "$(wc -l <"$TMP/limits")" "$rounds"
more=$(awk -v limit=$limit '{
        gsub(/[{}",:]/, " ")
        for (i = 1; i < NF; i++) if ($i == "used_bytes" && $(i + 1) > limit) bad++
    } END { print bad + 0 }' "$TMP/limits")
is "and never got more than the limit" "$more" 0
is "nor saw another one" "$(grep -vc "\"total_bytes\": $limit," "$TMP/limits")" 0
end a
end b
end free
finish a b free
for name in a b free; do
    at_most "longest time that tenant $name stood still, ms" "$(get "$TMP/$name.out" longest_pause_ms)" 200
done
wait_for 5 is_no_tenant m
ok "nothing is left of any" wait_for 5 has_no_folders
is "nobody said more than warnings about what was lost" "$(grep -c 'out of memory\|assert\|corrupt' "$TMP/daemon.log")" 0
kill_daemon
done_testing
