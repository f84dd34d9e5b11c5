#pragma once
/*
 * install - files in one directory that are there whole or not at all.
 *
 * Each is written beside its place, under a name that is the same every time, and renamed: who
 * looks sees the old one or the new. What a killed run left under that name the next one removes.
 * While a directory is open it is locked, so that two runs come one after the other. What is done
 * is said on standard output, a line each; in a dry run it is only said.
 *
 * Names are those of entries of the directory, without a slash. Links are never followed.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>

#define INSTALL_TEXT_MAX (1024 * 1024) /* of a text that is read, with its NUL */

struct install {
    int fd;           /* of the directory; -1: it is not there, in a dry run or to undo */
    const char *path; /* borrowed */
    bool is_dry;
    unsigned int changes; /* that were made, or would have been */
};

enum install_kind { INSTALL_NOTHING, INSTALL_FILE, INSTALL_LINK, INSTALL_OTHER };

enum install_mode {
    INSTALL_MAKE, /* changes things, and makes the directory with its parents */
    INSTALL_KEEP, /* changes things in a directory that is there */
    INSTALL_DRY,  /* only says */
};

/*
 * Opens the directory; only INSTALL_MAKE fails where it is not there. `beside` is one that this
 * process has locked already, or NULL.
 */
int install_open(struct install *ret_install, const char *path, const struct install *beside,
                 enum install_mode mode, struct err *err) MUST_CHECK;
void install_close(struct install *install);

/* What stands there. */
enum install_kind install_look(const struct install *install, const char *name) MUST_CHECK;

/* Opens a file for reading; -ENOENT where there is none. The caller closes it. */
int install_read(const struct install *install, const char *name, int *ret_fd,
                 struct err *err) MUST_CHECK;

/* A whole text file; "" where there is none. The caller frees it. */
int install_read_text(const struct install *install, const char *name, char **ret_text,
                      struct err *err) MUST_CHECK;

/* What a link says, false where there is none that fits. */
bool install_read_link(const struct install *install, const char *name, char *ret_text,
                       size_t size) MUST_CHECK;

/*
 * Makes an entry be a copy of an open file (mode 0755), a text (mode 0644) or a link, or be gone.
 * Each does nothing where it is so already.
 */
int install_copy(struct install *install, int source_fd, const char *name,
                 struct err *err) MUST_CHECK;
int install_text(struct install *install, const char *name, const char *text,
                 struct err *err) MUST_CHECK;
int install_link(struct install *install, const char *name, const char *text,
                 struct err *err) MUST_CHECK;
int install_remove(struct install *install, const char *name, struct err *err) MUST_CHECK;
