#!/bin/sh
# vgpu explain says what is wrong where there is nothing to explain.
. "$(dirname "$0")/lib.sh"
on_simulator "$@"

is "a name is needed" "$(vgpu explain 2>&1; echo $?)" "vgpu: explain: a tenant's name is needed
2"
is "one is enough" "$(vgpu explain a b >/dev/null 2>&1; echo $?)" 2
is "it has to be a name" "$(vgpu explain ../a >/dev/null 2>&1; echo $?)" 2
is "of a tenant that is there" "$(vgpu explain nobody --json 2>&1; echo $?)" \
    "vgpu: explain: there is no tenant 'nobody' (vgpu ps lists them)
1"
done_testing
