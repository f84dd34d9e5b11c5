/*
 * surroundings - what a program finds of one variable: in its constructor, in what main is given,
 * by getenv(); whether libadd_path.so is in it, and whether it can go on to change its environment.
 *
 *     surroundings NAME
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *early;
static int early_errno;

static const char *find(char **entries, const char *name)
{
    size_t length = strlen(name);

    for (; entries && *entries; entries++)
        if (strncmp(*entries, name, length) == 0 && (*entries)[length] == '=')
            return *entries + length + 1;
    return "-";
}

__attribute__((constructor)) static void begin(void)
{
    early_errno = errno;
    early = getenv("SURROUNDINGS") ? find(environ, getenv("SURROUNDINGS")) : "?";
}

static int look_at(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)size;
    (void)argument;
    return info->dlpi_name && strstr(info->dlpi_name, "libadd_path") != NULL;
}

/* Sets, replaces, removes and clears, as programs do. */
static int change(const char *name)
{
    static char put[] = "SURROUNDINGS_PUT=1";

    for (int i = 0; i < 100; i++) {
        char added[32];

        (void)snprintf(added, sizeof(added), "SURROUNDINGS_%d", i);
        if (setenv(added, "x", 1) || !getenv(added))
            return 0;
    }
    if (setenv(name, "replaced", 1) || !getenv(name) || strcmp(getenv(name), "replaced") != 0)
        return 0;
    if (unsetenv(name) || getenv(name) || putenv(put) || !getenv("SURROUNDINGS_PUT"))
        return 0;
    return !clearenv() && !getenv("SURROUNDINGS_PUT") && !setenv(name, "again", 1) && getenv(name);
}

int main(int argc, char **argv, char **envp)
{
    const char *value = argc == 2 ? getenv(argv[1]) : NULL;

    if (argc != 2)
        return 2;
    printf("errno=%d\nconstructor=%s\nargument=%s\ngetenv=%s\n", early_errno, early,
           find(envp, argv[1]), value ? value : "-");
    printf("library=%s\n", dl_iterate_phdr(look_at, NULL) ? "yes" : "no");
    printf("changes=%s\n", change(argv[1]) ? "ok" : "broken");
    return 0;
}
