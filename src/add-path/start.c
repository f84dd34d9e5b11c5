/*
 * start - the one thing in libadd_path.so that anybody calls: the loader does, at a program's
 * start.
 *
 * Not linked with `-z initfirst`: the loader then calls us before libc has its environment, and
 * libc puts the old array in its place afterwards, so that a variable that was not set stays not
 * set.
 */
#include "add-path/environment.h"
#include "utils/version_note.h"

#include <sys/auxv.h>

VERSION_NOTE(VGPU_VERSION);

__attribute__((constructor)) static void start(void)
{
    /* A program with more rights than who started it must not find programs where that one says. */
    if (!getauxval(AT_SECURE))
        environment_edit();
}
