#include "supervisor/verdict.h"

#include "supervisor/runtime.h"
#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define TEXT_SIZE 256

static bool make_path(const struct runtime *runtime, const char *uuid, char *path, size_t size)
{
    return str_format(path, size, "%s/verdict-%s", runtime->base, uuid);
}

/* What it holds for: one line that differs as soon as one of them does. */
static bool make_key(const char *uuid, const char *driver_version, char *key, size_t size)
{
    char boot[64], *end;

    if (file_read("/proc/sys/kernel/random/boot_id", boot, sizeof(boot), NULL) <= 0)
        return false;
    end = strchr(boot, '\n');
    if (end)
        *end = '\0';
    return str_format(key, size, "%s %s %s ", uuid, driver_version, boot);
}

enum verdict verdict_load(const struct runtime *runtime, const char *uuid,
                          const char *driver_version)
{
    char path[RUNTIME_PATH_MAX + 64], key[TEXT_SIZE], text[TEXT_SIZE];

    if (!make_path(runtime, uuid, path, sizeof(path)) ||
        !make_key(uuid, driver_version, key, sizeof(key)) ||
        file_read(path, text, sizeof(text), NULL) <= 0 || !str_starts_with(text, key))
        return VERDICT_NONE;
    if (str_equals(text + strlen(key), "obeys\n"))
        return VERDICT_OBEYS;
    return str_equals(text + strlen(key), "inert\n") ? VERDICT_INERT : VERDICT_NONE;
}

int verdict_save(const struct runtime *runtime, const char *uuid, const char *driver_version,
                 enum verdict verdict, struct err *err)
{
    char path[RUNTIME_PATH_MAX + 64], key[TEXT_SIZE], text[TEXT_SIZE + 16];

    if (!make_path(runtime, uuid, path, sizeof(path)) ||
        !make_key(uuid, driver_version, key, sizeof(key)) ||
        !str_format(text, sizeof(text), "%s%s\n", key,
                    verdict == VERDICT_OBEYS ? "obeys" : "inert"))
        return err_say(err, EINVAL, "the verdict on GPU '%s' cannot be written down", uuid);
    if (verdict == VERDICT_NONE)
        return unlink(path) < 0 && errno != ENOENT ? err_set(err, errno, "remove '%s'", path) : 0;
    return file_write(path, text, strlen(text), err);
}
