#!/bin/sh
# What programs find in their environment with libadd_path.so in them: each rule of libadd_path(7), in
# `env`, in a shell and in Python. add_path_aarch64.sh has the same done by an emulator.
# timeout: 240
# shellcheck source=lib.sh
[ "${MACHINE:-native}" = emulated ] || . "$(dirname "$0")/lib.sh"

if [ "${MACHINE:-native}" = native ]; then
    ADD_PATH=$LIB/libadd_path.so
    ENV=$(command -v env)
    PYTHON=$(python3 -c 'import sys; print(sys.executable)') # and no script that finds it
    SHELL_PROGRAM=/bin/sh
    SURROUNDINGS=$GUESTS/surroundings
    BUSYBOX=$(command -v busybox)
    LOADER=$(readelf -lW "$ENV" | sed -n 's/.*program interpreter: \(.*\)].*/\1/p')
    LOADED_ENV=$ENV
fi
[ -z "${VGPU_TEST_SANITIZED:-}" ] || [ "${MACHINE:-native}" != native ] || SURROUNDINGS=$VGPU_GUESTS/surroundings

# start VARIABLE=VALUE... PROGRAM...: runs it with the library and exactly these variables. LD_PRELOAD is the
# library, unless it is one of them. The programs that MACHINE=emulated runs take TEST_PRELOAD for it, because
# the emulator itself is none that the library could be loaded into.
start() {
    if [ "${MACHINE:-native}" = native ]; then
        env -i LD_PRELOAD="$ADD_PATH" "$@"
        return
    fi
    for word; do
        shift
        case $word in LD_PRELOAD=*) word=TEST_PRELOAD=${word#*=} ;; esac
        set -- "$@" "$word"
    done
    env -i "$@"
}

# value PROGRAM NAME VARIABLE=VALUE...: what the program finds in NAME, `-` where that is not set. What the
# loader says of libraries that are not there is not asked for here.
value() {
    value_program=$1
    value_name=$2
    shift 2
    case $value_program in
    env)
        start "$@" "$ENV" | awk -v name="$value_name=" '
            index($0, name) == 1 { found = 1; print substr($0, length(name) + 1) }
            END { if (!found) print "-" }'
        ;;
    sh) start "$@" "$SHELL_PROGRAM" -c "echo \"\${$value_name--}\"" ;;
    python) start "$@" "$PYTHON" -c "import os; print(os.environ.get('$value_name', '-'))" ;;
    esac 2>/dev/null
}

# rule SENTENCE NAME WANTED VARIABLE=VALUE...
rule() {
    rule_sentence=$1
    rule_name=$2
    rule_wanted=$3
    shift 3
    for rule_program in env sh python; do
        is "$rule_sentence ($rule_program)" "$(value "$rule_program" "$rule_name" "$@")" "$rule_wanted"
    done
}

# The five that there were before.
rule "a variable that is not set becomes what is appended" PATH /q TF_PATH=/q
rule "what is there is not appended again" PATH /p:/q TF_PATH=/p PATH=/p:/q
rule "what is not there is appended" PATH /p:/q TF_PATH=/q PATH=/p
rule "what is not there is prepended" PATH /o:/p TF_PREPEND_PATH=/o PATH=/p
rule "what is in front is not prepended again" PATH /p:/q TF_PREPEND_PATH=/p PATH=/p:/q

rule "an empty variable becomes what is added, without a stray colon" PATH /q PATH= TF_PATH=/q
rule "prepending to an empty variable makes no stray colon" PATH /o PATH= TF_PREPEND_PATH=/o
rule "a source that is not set does nothing" LD_LIBRARY_PATH - TF_PATH=/q
rule "an empty source does nothing" LD_LIBRARY_PATH - TF_LD_LIBRARY_PATH= TF_PREPEND_LD_LIBRARY_PATH=
rule "a source of nothing but colons does nothing" LD_LIBRARY_PATH - TF_LD_LIBRARY_PATH=::
rule "what is prepended wins: it moves to the front" PATH /q:/p:/r PATH=/p:/q:/r TF_PREPEND_PATH=/q
rule "a source is taken element by element" PATH /p:/q:/r:/s PATH=/p:/q TF_PATH=/r:/q:/s
rule "several elements are prepended in their order" PATH /r:/q:/p PATH=/p:/q TF_PREPEND_PATH=/r:/q
rule "a part of an element is no element" PATH /abc:/ab PATH=/abc TF_PATH=/ab
rule "empty elements are never added" PATH /p:/q:/r PATH=/p TF_PATH=:/q::/r:
rule "empty elements that are there stay" PATH /p::/q PATH=/p: TF_PATH=/q
rule "appending comes first, prepending then" PATH /b:/p:/c PATH=/p TF_PATH=/b:/c TF_PREPEND_PATH=/b
rule "LD_LIBRARY_PATH is appended to" LD_LIBRARY_PATH /l:/m LD_LIBRARY_PATH=/l TF_LD_LIBRARY_PATH=/m:/l
rule "LD_LIBRARY_PATH is prepended to" LD_LIBRARY_PATH /m:/l LD_LIBRARY_PATH=/l TF_PREPEND_LD_LIBRARY_PATH=/m
rule "LD_LIBRARY_PATH may have semicolons" LD_LIBRARY_PATH "/l;/m:/n" "LD_LIBRARY_PATH=/l;/m" TF_LD_LIBRARY_PATH=/m:/n
rule "LD_PRELOAD is appended to" LD_PRELOAD "$ADD_PATH:/x.so" TF_LD_PRELOAD=/x.so
rule "LD_PRELOAD is prepended to" LD_PRELOAD "/x.so:$ADD_PATH" TF_PREPEND_LD_PRELOAD=/x.so
rule "elements of LD_PRELOAD are separated by blanks too" LD_PRELOAD "/x.so:/y.so:$ADD_PATH libc.so.6:/z.so" \
    "LD_PRELOAD=$ADD_PATH libc.so.6" "TF_LD_PRELOAD=libc.so.6 /z.so" "TF_PREPEND_LD_PRELOAD=/x.so /y.so"
rule "a listed variable is appended to" PYTHONPATH /p:/q TF_PATH_VARIABLES=MANPATH,PYTHONPATH PYTHONPATH=/p \
    TF_APPEND_PYTHONPATH=/q
rule "a listed variable is prepended to" MANPATH /o:/p TF_PATH_VARIABLES=MANPATH:PYTHONPATH MANPATH=/p \
    TF_PREPEND_MANPATH=/o TF_APPEND_MANPATH=/o
rule "a listed variable that is not set becomes what is added" MANPATH /q "TF_PATH_VARIABLES=X MANPATH" \
    TF_APPEND_MANPATH=/q
rule "a variable that is not listed is let be" MANPATH /p MANPATH=/p TF_APPEND_MANPATH=/q TF_PATH_VARIABLES=X

# A child of a child of a child. Emulated programs start none, so there each gets what the one before had.
everything="TF_PATH=/q:/r TF_PREPEND_PATH=/o:/r TF_LD_LIBRARY_PATH=/l TF_PATH_VARIABLES=M TF_APPEND_M=1:2 TF_PREPEND_M=2"
# shellcheck disable=SC2086 # words without blanks
start PATH=/usr/bin $everything "TF_PREPEND_LD_PRELOAD=$ADD_PATH" "$ENV" >"$TMP/child"
if [ "${MACHINE:-native}" = native ]; then
    # shellcheck disable=SC2086
    start PATH=/usr/bin $everything "TF_PREPEND_LD_PRELOAD=$ADD_PATH" "$ENV" "$ENV" "$ENV" "$ENV" >"$TMP/children"
else
    # shellcheck disable=SC2046 # the same
    start $(cat "$TMP/child") "$ENV" >"$TMP/second"
    # shellcheck disable=SC2046
    start $(cat "$TMP/second") "$ENV" >"$TMP/children"
fi
is "a child of a child of a child has each element once" "$(sort "$TMP/children")" "$(sort "$TMP/child")"
is "and it has them" "$(grep -c -e '^PATH=/o:/r:/usr/bin:/q$' -e '^LD_LIBRARY_PATH=/l$' -e '^M=2:1$' \
    -e "^LD_PRELOAD=$ADD_PATH\$" "$TMP/children")" 4

# By the loader itself, so that the environment may have nothing at all, and no LD_PRELOAD.
loaded() { env -i "$@" "$LOADER" --preload "$ADD_PATH" "$LOADED_ENV"; }
is "a program without an environment starts" "$(loaded | grep -v ^PWD=; loaded >/dev/null && echo started)" started
is "LD_PRELOAD that is not set becomes what is added" "$(loaded TF_LD_PRELOAD='/x.so /y.so' | grep ^LD_PRELOAD)" \
    LD_PRELOAD=/x.so:/y.so

seen() { start SURROUNDINGS=PATH "$@" "$SURROUNDINGS" PATH; }
is "it is done before main and before the program's constructors, and errno is kept" \
    "$(seen PATH=/p TF_PATH=/q | tr '\n' ' ')" \
    "errno=0 constructor=/p:/q argument=/p:/q getenv=/p:/q library=yes changes=ok "
is "the same for a variable that was not set; the program can change its environment" \
    "$(seen TF_PATH=/q | tr '\n' ' ')" "errno=0 constructor=/q argument=/q getenv=/q library=yes changes=ok "

# At a fixed address a program has a copy of libc's `environ`, which is the one that counts.
if [ "${MACHINE:-native}" = native ] && gcc -O -fno-pie -no-pie "$ROOT/tests/guest/surroundings.c" -o "$TMP/fixed" 2>/dev/null; then
    is "the same in a program that has a copy of environ" \
        "$(start SURROUNDINGS=PATH TF_PATH=/q "$TMP/fixed" PATH | tr '\n' ' ')" \
        "errno=0 constructor=/q argument=/q getenv=/q library=yes changes=ok "
fi

long=$(awk 'BEGIN { for (i = 0; i < 6000; i++) printf "%s/element/%d", i ? ":" : "", i }')
is "values of 90,000 bytes are edited whole" "$(value env PATH "PATH=$long" "TF_PREPEND_PATH=/o")" "/o:$long"
is "and taken element by element" "$(value env PATH "PATH=$long" "TF_PATH=$long:/q")" "$long:/q"
is "a value too long to be passed on stays as it is" \
    "$(value env PATH "PATH=$long" "TF_PATH=$(echo "$long" | sed 's/element/other/g')")" "$long"

# Nonsense in each variable: the program starts, says what it says, and nothing else.
names="TF_PATH TF_LD_PRELOAD TF_LD_LIBRARY_PATH TF_PREPEND_PATH TF_PREPEND_LD_PRELOAD TF_PREPEND_LD_LIBRARY_PATH
    TF_PATH_VARIABLES TF_APPEND_A TF_PREPEND_A TF_APPEND_ TF_PREPEND_"
binary=$(printf '\001\377=\033%%s%%n$(x);\n\t')
for nonsense in : "::: ;;; ,,," "= == =" "$binary" "$long" "../../.." "$(echo "$long" | tr -d '0-9a-z')"; do
    set --
    for name in $names; do
        # Eleven long ones, and what is made of them, are still below what a program may be given.
        set -- "$@" "$name=$nonsense"
    done
    got=$(start PATH=/usr/bin:/bin A=1 "$@" "$SHELL_PROGRAM" -c 'echo started; exit 3' 2>&1)
    is "with $(printf %.12s "$nonsense" | tr -c 'a-z0-9/.:;,=' '?') in each variable a program runs as ever" "$got $?" "started 3"
done

# A static program has no loader: it sees what its parent had.
if [ -n "$BUSYBOX" ]; then
    is "a static program is let be" "$(start PATH=/p TF_PATH=/q "$BUSYBOX" sh -c 'echo "$PATH"')" /p
    if [ "${MACHINE:-native}" = native ]; then
        is "a static child of an edited program has what its parent has" \
            "$(start PATH=/p TF_PATH=/q "$ENV" "$BUSYBOX" sh -c 'echo "$PATH"')" /p:/q
    fi
else
    skip "a static program is let be: no busybox (tools/deps --dev)"
fi
[ "${MACHINE:-native}" = native ] || done_testing

# On musl, whose loader reads the symbols otherwise.
if command -v musl-gcc >/dev/null && [ -z "${VGPU_TEST_SANITIZED:-}" ]; then
    ok "a musl program is built" musl-gcc -O "$ROOT/tests/guest/surroundings.c" -o "$TMP/musl"
    is "in a musl program it does what it does elsewhere" \
        "$(start SURROUNDINGS=PATH PATH=/p TF_PREPEND_PATH=/q "$TMP/musl" PATH | tr '\n' ' ')" \
        "errno=0 constructor=/q:/p argument=/q:/p getenv=/q:/p library=yes changes=ok "
    is "a variable is added in a musl program" \
        "$(start SURROUNDINGS=M TF_PATH_VARIABLES=M TF_APPEND_M=1 "$TMP/musl" M | grep -v argument | tr '\n' ' ')" \
        "errno=0 constructor=1 getenv=1 library=yes changes=ok "
else
    skip "in a musl program it does what it does elsewhere: no musl-gcc (tools/deps --dev)"
fi

# In a 32-bit one the loader has its say, and that is all.
echo 'void _exit(int); void _start(void); void _start(void) { _exit(7); }' >"$TMP/bits.c"
if [ -e /lib/ld-linux.so.2 ] && gcc -m32 -nostdlib -fno-pie -no-pie "$TMP/bits.c" /lib32/libc.so.6 -o "$TMP/bits" \
    -Wl,-dynamic-linker,/lib/ld-linux.so.2 2>/dev/null && "$TMP/bits"; [ $? -eq 7 ]; then
    start TF_PATH=/q "$TMP/bits" >"$TMP/bits.out" 2>"$TMP/bits.err"
    is "a 32-bit program runs without the library" "$?" 7
    is "and its loader says one line" "$(grep -c 'cannot be preloaded.*wrong ELF class' "$TMP/bits.err") $(wc -l <"$TMP/bits.err")" "1 1"
else
    skip "a 32-bit program runs without the library: none can be built or run here (tools/deps --dev)"
fi

MANUAL=$VGPU_STAGE/share/man/man7/libadd_path.7
ok "the manual is installed, and tells of the loader's line" grep -q 'wrong ELF class: ELFCLASS64' "$MANUAL"
for name in TF_PATH TF_LD_PRELOAD TF_LD_LIBRARY_PATH TF_PREPEND_PATH TF_PREPEND_LD_PRELOAD \
    TF_PREPEND_LD_LIBRARY_PATH TF_PATH_VARIABLES "TF_APPEND_ NAME" "TF_PREPEND_ NAME"; do
    ok "the manual has $name" grep -q "^\.BI\{0,1\} $name\$" "$MANUAL"
done
# Its examples, as they stand there.
sed -n '/^\.SH EXAMPLE/,/^\.fi/p' "$MANUAL" >"$TMP/example"
sed -n 's/^\$ \\fB\(.*\)\\fR$/\1/p' "$TMP/example" | sed "s|/usr/lib/vgpu/libadd_path.so|$ADD_PATH|" >"$TMP/commands"
is "the manual's examples give what it says" "$(sh "$TMP/commands")" "$(grep -v -e '^\$' -e '^\.' "$TMP/example")"
done_testing
