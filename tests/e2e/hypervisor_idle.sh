#!/bin/sh
# A daemon with eight nearly idle tenants takes no more than 1 % of a core and 30 MB. bench/hypervisor_idle has the
# same for longer, and the supervisors' part.
. "$(dirname "$0")/lib.sh"
plain_only
on_simulator "$@"

SECONDS_LONG=$(full 60 10)
start_daemon
for number in 1 2 3 4 5 6 7 8; do
    tenant "idle$number" --compute 10% -- --busy 1 --seconds 3600
done
for number in 1 2 3 4 5 6 7 8; do
    ok "tenant $number has begun" wait_for 10 is_busy "idle$number"
done
sleep 3 # what beginning takes is over then, and does not belong to what is measured
ticks() { sed 's/.*) //' "/proc/$PID_daemon/stat" | awk '{ print $12 + $13 }'; }
memory_mb() { awk '$1 == "VmRSS:" { print $2 / 1024 }' "/proc/$PID_daemon/status"; }
before_ticks=$(ticks)
before_ns=$(now_ns)
sleep "$SECONDS_LONG" # the time over which it is measured
took_s=$(calc "($(now_ns) - $before_ns) / 1e9")
at_most "the daemon's part of a core, %" \
    "$(calc "($(ticks) - $before_ticks) * 100 / $(getconf CLK_TCK) / $took_s")" 1
at_most "its resident memory, MB" "$(memory_mb)" 30
for number in 1 2 3 4 5 6 7 8; do
    end "idle$number"
done
kill_daemon
done_testing
