#include "cli/command.h"
#include "cli/commands.h"
#include "utils/log.h"
#include "utils/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* The simulator's own program reads the options: nothing of it is in this one. */
int cmd_sim(const struct command_line *line)
{
    size_t count = (size_t)(line->operands - line->words) + (size_t)line->operand_count;
    CLEANUP_FREE char **words = calloc(count + 2, sizeof(*words));
    char path[PATH_MAX];
    struct err err;

    if (!line->operand_count)
        return command_usage_error(line, "a command to run on the simulated machine is needed");
    if (paths_find("sim/vgpu-sim", path, sizeof(path), &err) < 0) {
        log_error("sim: %s", err.text);
        return COMMAND_FAILED;
    }
    if (!words) {
        log_error("sim: out of memory");
        return COMMAND_FAILED;
    }
    words[0] = path;
    for (size_t i = 0; i < count; i++)
        words[i + 1] = line->words[i];
    (void)execv(path, words);
    (void)err_set(&err, errno, "execute '%s'", path);
    log_error("sim: %s", err.text);
    return COMMAND_FAILED;
}
