#include "utils/env.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const struct env_row rows[ENV_COUNT] = {
#define ENV(name, words, otherwise) [ENV_##name] = {#name, words, otherwise},
#include "macro/env.def"
};

const struct env_row *env_describe(enum env_variable variable)
{
    return (unsigned)variable < ENV_COUNT ? &rows[variable] : NULL;
}

const char *env_get(enum env_variable variable)
{
    const struct env_row *row = env_describe(variable);
    size_t length;

    if (!row || !environ)
        return NULL;
    length = strlen(row->name);
    for (char **entry = environ; *entry; entry++)
        if (strncmp(*entry, row->name, length) == 0 && (*entry)[length] == '=')
            return (*entry)[length + 1] ? *entry + length + 1 : NULL;
    return NULL;
}
