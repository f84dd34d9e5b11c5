#pragma once
/*
 * env - the environment variables of macro/env.def. Guest-safe: reads `environ` as it is now, keeps
 * nothing, changes nothing.
 */
#include "utils/attr.h"

enum env_variable {
#define ENV(name, words, otherwise) ENV_##name,
#include "macro/env.def"
    ENV_COUNT
};

struct env_row {
    const char *name;
    const char *words;     /* what it is for, one line */
    const char *otherwise; /* what is taken where it is not set; "" for nothing */
};

/*
 * The value as it stands now, NULL where the variable is not set or empty. It belongs to the
 * environment: whoever keeps it beyond the program's next setenv() copies it.
 */
const char *env_get(enum env_variable variable);

/* The variable's row, for the manual and for messages; NULL for a number that is none. */
const struct env_row *env_describe(enum env_variable variable);
