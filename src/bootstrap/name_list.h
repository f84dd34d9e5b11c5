#pragma once
/*
 * name_list - names of files to install, sorted, each once.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>

/* A zeroed one is empty. */
struct name_list {
    char **names; /* owned */
    size_t count;
};

void name_list_fini(struct name_list *list);

/* Adds a copy, unless the name is there. */
int name_list_add(struct name_list *list, const char *name, struct err *err) MUST_CHECK;
bool name_list_has(const struct name_list *list, const char *name) MUST_CHECK;

/*
 * Adds the files called `*.so` in a directory, and links to files; -ENOENT where it is not
 * there.
 */
int name_list_add_folder(struct name_list *list, const char *path, struct err *err) MUST_CHECK;

/* Adds the lines of a text, but for what can be no name of ours: a text may hold anything. */
int name_list_add_text(struct name_list *list, const char *text, struct err *err) MUST_CHECK;

/* The names, a line each; NULL where there is no memory. The caller frees it. */
char *name_list_text(const struct name_list *list) MUST_CHECK;

/* `libsomething.so`: it ends so, and nothing in it could be taken for a path or for two lines. */
bool name_is_library(const char *name) MUST_CHECK;
