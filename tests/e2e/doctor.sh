#!/bin/sh
# vgpu doctor sees what works on a machine and what is only accepted, and vgpu run goes by it.
# timeout: 60
. "$(dirname "$0")/lib.sh"

works() { json-get "check=$1, GPU 0.works" <"$TMP/doctor"; }

# look FAULT SLICES CAPS: a machine with the fault, and whether each is to be seen working there.
look() {
    fault=$1
    slices=$2
    caps=$3
    # shellcheck disable=SC2016,SC2046 # the inner shell's variables; no fault is no option
    vgpu sim $([ "$fault" = none ] || echo --fault "$fault") -- sh -c '
        vgpu doctor --json >"$1/doctor"; echo $? >"$1/status"
        vgpu run --engine rm -- true; echo $? >"$1/rm"
        vgpu run --compute 30% -- true 2>"$1/err"; echo $? >"$1/auto"' sh "$TMP" 2>/dev/null
    failing=1
    [ "$slices$caps" != truetrue ] || failing=0
    refused=1
    [ "$caps" != true ] || refused=0
    is "$fault: exit status" "$(cat "$TMP/status")" "$failing"
    is "$fault: calls are parsed" "$(works 'RM calls parsed')" true
    is "$fault: memory is exact" "$(works 'memory exact')" true
    is "$fault: slices" "$(works 'slices obeyed')" "$slices"
    is "$fault: caps" "$(works 'disable obeyed')" "$caps"
    is "$fault: run --engine rm" "$(cat "$TMP/rm")" "$refused"
    is "$fault: run --engine auto" "$(cat "$TMP/auto")" 0
    is "$fault: its warnings" "$(wc -l <"$TMP/err")" "$refused"
}

look none true true
look slice-inert false true
look disable-inert true false
look disable-refused true false
done_testing
