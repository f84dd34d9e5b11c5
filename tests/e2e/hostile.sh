#!/bin/sh
# A process that sends its supervisor garbage, floods it, or writes garbage into its region harms nobody
# else: the supervisor stays, other tenants get their share, and so does the rest of its own tenant where
# its memory is not concerned.
# timeout: 120
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

tenant good --compute 30% -- --kernel-us 100 --warm-up 1 --seconds 3600 --trace "$TMP/trace"
tenant evil --memory 4GiB --compute 20% -- --kernel-us 100 --seconds 3600
ok "both tenants are there" wait_for 10 is_busy good
ok "and have their memory" wait_for 10 is_busy evil
good=$(ps_get name=good.supervisor_pid)
evil=$(ps_get name=evil.supervisor_pid)
supervisors() { echo "$(ps_get name=good.supervisor_pid) $(ps_get name=evil.supervisor_pid)"; }
files() { find "/proc/$1/fd" -mindepth 1 | wc -l; }
has_files() { [ "$(files "$1")" -le "$2" ]; }
good_is_right() { tail -n 3 "$TMP/trace" | awk '$2 > 25 && $2 < 35 { n++ } END { exit n < 3 }'; }
has_more_lines() { [ "$(wc -l <"$TMP/trace")" -gt "$1" ]; }
ok "the other tenant has its share" wait_for 10 good_is_right
# Its supervisor has opened all that it needs for the process: it is in command of its channels.
has_slice() { [ "$(ps_get name=evil.gpus.0.slice_us)" -gt 0 ]; }
ok "and the supervisor of the one that is to be attacked all its files" wait_for 10 has_slice
evil_files=$(files "$evil")

# attack MODE: a process of one tenant does its worst, the other is looked at.
attack() {
    lines=$(wc -l <"$TMP/trace")
    # shellcheck disable=SC2086 # a mode and its argument
    vgpu exec evil -- "$GUESTS/hostile" $1 >"$TMP/out" 2>"$TMP/err"
    is "$1: does its worst" "$(grep -v '^#' "$TMP/out") $(cat "$TMP/err")" 'done '
    is "$1: both supervisors stay" "$(supervisors)" "$good $evil"
    wait_for 5 has_more_lines $((lines + 5))
    near "$1: the other tenant's share meanwhile" \
        "$(tail -n "+$((lines + 1))" "$TMP/trace" | awk '{ s += $2 } END { print s / NR }')" 30 5
    ok "$1: no descriptor stays with the supervisor" wait_for 5 has_files "$evil" "$evil_files"
}

for mode in region lengths types random objects descriptors ledgers; do
    attack "$mode"
done

# As many connections as there may be, while others ask.
vgpu exec evil -- "$GUESTS/hostile" connections stay >"$TMP/flood" 2>&1 &
flood=$!
PIDS="$PIDS $flood"
ok "a flood of connections" wait_for 20 grep -q 'done' "$TMP/flood"
ok "leaves room for who asks" vgpu ps evil
ok "a new process of the tenant joins meanwhile" vgpu exec evil -- "$GUESTS/hostile" region
ok "and the other tenant has its share" wait_for 5 good_is_right
kill -KILL "$flood"

# Processes that come and go while another one writes garbage into their common ledger.
vgpu exec evil -- "$GUESTS/hostile" ledger 3600 2>"$TMP/err" &
writer=$!
PIDS="$PIDS $writer"
for _ in 1 2 3 4 5; do
    vgpu exec evil -- "$GUESTS/memory" start >/dev/null 2>&1
done
is "garbage in the ledger under way: both supervisors stay" "$(supervisors)" "$good $evil"
ok "it was written all the time" kill -TERM "$writer"
ok "and the largest figures there are at last" wait "$writer"
is "memory that cannot be is not shown" "$(ps_get name=evil.gpus.0.memory_used_bytes)" null
ok "and ps shows the tenant" sh -c 'vgpu ps | grep -q "^evil .* - "'

at_most "lines that were said about all of it" "$(wc -l <"$TMP/evil.err")" 20
is "and to the other tenant" "$(cat "$TMP/good.err")" ''
end evil
end good
finish good
is "the other tenant's work had no error" "$(get "$TMP/good.out" errors)" 0
ok "nothing is left" wait_for 5 has_no_folders
done_testing
