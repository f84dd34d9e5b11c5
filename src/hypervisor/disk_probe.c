#include "hypervisor/disk_probe.h"

#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int disk_probe(const char *directory, char *ret_words, size_t size)
{
    char path[PATH_MAX];
    int rc = str_format(path, sizeof(path), "%s/.probe", directory) ? 0 : -ENAMETOOLONG;

    ret_words[0] = '\0';
    if (!rc)
        rc = file_write(path, "?", 1, NULL);
    if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM)
        return rc;
    if (!rc)
        rc = unlink(path) < 0 ? -errno : 0;
    if (rc < 0) /* the reason first: paths may be long */
        (void)str_format(ret_words, size, "%s: nothing can be written to '%s'", strerror(-rc),
                         directory);
    return 0;
}
