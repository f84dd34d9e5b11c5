#pragma once
/*
 * limit_text - what people write for a limit, read into a SET message: the same on the command line
 * and in `vgpu top`.
 */
#include "ipc/message.h"
#include "utils/attr.h"
#include "utils/err.h"

/*
 * Adds the field to the message: a size, part of the card or `none` for MESSAGE_SET_MEMORY, a
 * percentage or `none` for MESSAGE_SET_COMPUTE, 1..1000 for MESSAGE_SET_WEIGHT, `high`, `normal` or
 * `low` for MESSAGE_SET_PRIORITY. -EINVAL or -ERANGE with words, and the message is as it was.
 */
int limit_text_read(struct message_set *set, enum message_set_field field, const char *text,
                    struct err *err) MUST_CHECK;
