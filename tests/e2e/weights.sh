#!/bin/sh
# Eight busy tenants get the GPU in proportion to their weights, 1 to 8.
# timeout: 60
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

for weight in 1 2 3 4 5 6 7 8; do
    # shellcheck disable=SC2086 # options are words
    tenant "w$weight" --weight "$weight" -- --kernel-us 100 $TOGETHER --seconds "$(full 10 5)"
done
finish w1 w2 w3 w4 w5 w6 w7 w8
sum=0
for weight in 1 2 3 4 5 6 7 8; do
    sum=$(calc "$sum + $(share "w$weight")")
done
measured "eight tenants together: $sum"
for weight in 1 2 3 4 5 6 7 8; do
    near "weight $weight of 36" "$(share "w$weight")" "$(calc "$sum * $weight / 36")" "$(bar 0.5 "$(calc "1 + $weight / 2")")"
done
done_testing
