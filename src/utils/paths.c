#include "utils/paths.h"

#include "utils/str.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int paths_find(const char *file, char *ret_path, size_t size, struct err *err)
{
    char self[PATH_MAX], *slash;
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (length < 0)
        return err_set(err, errno, "find this program's own place");
    self[length] = '\0';
    for (int i = 0; i < 2; i++) { /* .../bin/vgpu -> ... */
        slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
    }
    if (!str_format(ret_path, size, "%s/lib/vgpu/%s", self, file))
        return err_set(err, ENAMETOOLONG, "find '%s'", file);
    if (access(ret_path, R_OK) < 0)
        return err_say(err, ENOENT, "'%s' is missing: vgpu is not installed whole", ret_path);
    return 0;
}
