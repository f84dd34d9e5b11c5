#pragma once
/*
 * log_levels - what is logged of which component: `info,http=debug`.
 *
 * A rule's name is that of a module (`http_server`), the beginning of several modules' names up to
 * an underscore (`http`), or a folder of the sources (`supervisor`). The one that says most about
 * where a line comes from decides, whatever the order; a rule without a name is for the rest.
 * Levels are off, error, warn, info, debug; `trace` is taken for debug, so that what people have
 * set for other programs is understood.
 */
#include "utils/attr.h"
#include "utils/err.h"
#include "utils/log.h"

#include <stdbool.h>
#include <stddef.h>

#define LOG_LEVELS_MAX 32
#define LOG_LEVELS_OFF (-1) /* less than LOG_LEVEL_ERROR: nothing is logged */

/* Enough for log_levels_print(): each rule is `,NAME=LEVEL`. */
#define LOG_LEVELS_TEXT_MAX (16 + LOG_LEVELS_MAX * 48)

struct str;

struct log_levels {
    int standard; /* enum log_level, or LOG_LEVELS_OFF */
    size_t count;
    struct {
        char name[32];
        int level;
    } rules[LOG_LEVELS_MAX];
};

/* Empty: `info`. -EINVAL with words; nothing is read of a text with a mistake. */
int log_levels_parse(struct log_levels *ret_levels, const char *text, struct err *err) MUST_CHECK;

/*
 * Takes out of the text what log_levels_parse() would refuse, and adds it, parts with blanks
 * between them. For filters of other programs, as `hypervisor=debug,[span{a=1}]=trace`.
 */
void log_levels_drop_unknown(char *text, struct str *ret_dropped);

/* Adds the text that is read as these levels: the one for the rest, then each rule. */
void log_levels_print(const struct log_levels *levels, struct str *text);

/* `source` as of utils/log.h: a path of a source file, or a name. */
bool log_levels_want(const struct log_levels *levels, enum log_level level, const char *source);

/* The highest of all levels: above it nobody wants anything. */
int log_levels_highest(const struct log_levels *levels);

/* The module of a source: its last part, without what follows the dot. Borrowed from it. */
const char *log_levels_component(const char *source, size_t *ret_length);
