#include "tests/fuzz/scratch.h"

#include "utils/str.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH     4
#define PATHS_MAX 16

static char folder[64];

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *where)
{
    (void)remove(path);
    return 0;
}

static void remove_all(void)
{
    (void)nftw(folder, remove_one, DEPTH, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_folder(void)
{
    const char *parent = getenv("TMPDIR");

    if (folder[0])
        return folder;
    if (!str_format(folder, sizeof(folder), "%s/vgfuzzXXXXXX", parent ? parent : "/tmp") ||
        !mkdtemp(folder) || atexit(remove_all))
        abort();
    return folder;
}

const char *scratch_path(const char *name)
{
    static char paths[PATHS_MAX][128];
    static size_t count;

    if (count == PATHS_MAX ||
        !str_format(paths[count], sizeof(paths[count]), "%s/%s", scratch_folder(), name))
        abort();
    return paths[count++];
}

void scratch_make(const char *name)
{
    if (mkdir(scratch_path(name), 0700) < 0)
        abort();
}

int scratch_open(const char *name)
{
    int fd = open(scratch_path(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        abort();
    return fd;
}

void scratch_fill(int fd, const uint8_t *bytes, size_t size)
{
    if (ftruncate(fd, 0) < 0 || pwrite(fd, bytes, size, 0) != (ssize_t)size)
        abort();
}
