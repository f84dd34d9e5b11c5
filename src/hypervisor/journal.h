#pragma once
/*
 * journal - the daemon's log: the lines of all components, logged on whichever thread, in one
 * form (log_line.h), of the levels that are wanted of each (log_levels.h), to stderr or to a
 * file that is replaced as it grows (log_file.h). There is one for the program, because there is
 * one utils/log.h.
 */
#include "hypervisor/log_file.h"
#include "hypervisor/log_levels.h"
#include "hypervisor/log_line.h"

struct journal_options {
    struct log_levels levels;
    enum log_line_format format;
    const char *path; /* borrowed for the call; empty: stderr */
    struct log_file_limits limits;
    /* A file that cannot be opened is a fault: lines go to stderr, and it is tried again. */
    bool is_patient;
};

/*
 * From now on it takes what utils/log.h is given; called again (SIGHUP) it changes over to what is
 * wanted now, and opens a file anew that somebody moved. Where the file cannot be opened
 * all stays as it was, unless it is patient or has waited for that file already.
 */
int journal_open(const struct journal_options *options, struct err *err) MUST_CHECK;

/* Other levels than those it was opened with, until it is opened again. Any thread. */
void journal_set_levels(const struct log_levels *levels);

/* Those that are in force. Any thread. */
void journal_get_levels(struct log_levels *ret_levels);

/* Back to utils/log.h's own form. */
void journal_close(void);

/*
 * Why lines are being lost, the file grows or is not there, for /healthz; false: all is well. Opens
 * what could not be opened, every ten seconds.
 */
bool journal_get_fault(char *ret_text, size_t size);
