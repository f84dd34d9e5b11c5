#pragma once
/*
 * event_text - one event of the daemon's API as one line: for people, or as JSON.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>

struct event_reader_event;
struct str;

/*
 * Adds the line with its newline; times are local. -EPROTO with words where the data is not what
 * the API sends. What would move a terminal's cursor is shown as '?'.
 */
int event_text_write(const struct event_reader_event *event, bool as_json, struct str *text,
                     struct err *err) MUST_CHECK;
