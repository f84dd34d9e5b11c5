#pragma once
/*
 * child - a command that bench and doctor start, and what it printed on stdout.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_WORDS_MAX 64

/* A command line in the making; words are borrowed, those of child_add_list() are copied. */
struct child {
    const char *words[CHILD_WORDS_MAX + 1];
    size_t count;
    char copies[1024];
    size_t copied;
    pid_t pid;     /* 0: not started */
    int output_fd; /* a file in memory: the child never waits for a reader */
    int input_fd;  /* the writing end of its stdin; -1: it has none */
};

void child_init(struct child *child);
/* Ends it where it still runs. */
void child_fini(struct child *child);

void child_add(struct child *child, const char *word);
/* Words that are separated by blanks. */
void child_add_list(struct child *child, const char *words);
/* A word that is made of a format. */
void child_add_format(struct child *child, const char *format, ...) PRINTF_LIKE(2, 3);

/* Starts it; with_input: child->input_fd is the way to its stdin, else that is /dev/null. */
int child_start(struct child *child, bool with_input, struct err *err) MUST_CHECK;

/*
 * Waits for its end; one that has not ended in time is ended (-ETIMEDOUT). Returns the exit status,
 * 128+n for a signal.
 */
int child_wait(struct child *child, uint64_t timeout_ns, struct err *err) MUST_CHECK;

/* What it has printed so far, cut to size - 1 bytes. */
void child_read(const struct child *child, char *text, size_t size);
