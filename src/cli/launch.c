#include "cli/launch.h"

#include "utils/paths.h"
#include "utils/str.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define PRELOAD_MAX (64 * 1024)

static int set_preload(struct err *err)
{
    CLEANUP_FREE char *value = malloc(PRELOAD_MAX);
    const char *given = getenv("LD_PRELOAD");
    char library[PATH_MAX];
    int rc = paths_find("libcuda_limiter.so", library, sizeof(library), err);

    if (rc < 0)
        return rc;
    /* Before the others: what interposes the driver's calls has to see them first. */
    if (!value || !str_format(value, PRELOAD_MAX, "%s%s%s", library, given && *given ? ":" : "",
                              given ? given : ""))
        return err_say(err, E2BIG, "LD_PRELOAD is too long to add to");
    return setenv("LD_PRELOAD", value, 1) < 0 ? err_set(err, errno, "set LD_PRELOAD") : 0;
}

int launch_set_environment(const char *control_path, bool is_closed, const char *visible,
                           struct err *err)
{
    int rc = set_preload(err);

    if (rc < 0)
        return rc;
    if (setenv("VGPU_CONTROL", control_path, 1) < 0 ||
        setenv("VGPU_ON_LOSS", is_closed ? "closed" : "open", 1) < 0 ||
        (visible && setenv("CUDA_VISIBLE_DEVICES", visible, 1) < 0))
        return err_set(err, errno, "set the tenant's environment");
    return 0;
}

int launch_execute(char **argv, struct err *err)
{
    (void)execvp(argv[0], argv);
    if (errno == ENOENT || errno == ENOTDIR) {
        (void)err_say(err, errno, "command '%s' is not found", argv[0]);
        return LAUNCH_NOT_FOUND;
    }
    (void)err_set(err, errno, "command '%s' cannot be executed", argv[0]);
    return LAUNCH_NOT_EXECUTABLE;
}
