#include "cli/limit_text.h"

#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>

#define WHOLE 100000u

static int read_memory(struct message_set *set, const char *text, struct err *err)
{
    struct parse_size size = {.bytes = REGION_NO_LIMIT};
    int rc = str_equals(text, "none") ? 0 : parse_size(&size, text, err);

    if (rc < 0)
        return rc;
    set->memory_bytes = size.milli_percent ? REGION_NO_LIMIT : size.bytes;
    set->memory_milli_percent = size.milli_percent;
    return 0;
}

static int read_compute(struct message_set *set, const char *text, struct err *err)
{
    uint32_t cap_milli_percent = WHOLE;
    int rc = str_equals(text, "none") ? 0 : parse_percent(&cap_milli_percent, text, err);

    if (!rc)
        set->cap_milli_percent = cap_milli_percent;
    return rc;
}

static int read_weight(struct message_set *set, const char *text, struct err *err)
{
    uint64_t weight;
    int rc = parse_u64(&weight, text, 1, 1000, err);

    if (!rc)
        set->weight = (uint32_t)weight;
    return rc;
}

static int read_priority(struct message_set *set, const char *text, struct err *err)
{
    for (uint32_t i = REGION_LOW; i <= REGION_HIGH; i++)
        if (str_equals(text, region_priority_word(i))) {
            set->priority = i;
            return 0;
        }
    return err_say(err, EINVAL, "'%s' is none of high, normal, low", text);
}

int limit_text_read(struct message_set *set, enum message_set_field field, const char *text,
                    struct err *err)
{
    int rc;

    switch (field) {
    case MESSAGE_SET_MEMORY:
        rc = read_memory(set, text, err);
        break;
    case MESSAGE_SET_COMPUTE:
        rc = read_compute(set, text, err);
        break;
    case MESSAGE_SET_WEIGHT:
        rc = read_weight(set, text, err);
        break;
    case MESSAGE_SET_PRIORITY:
        rc = read_priority(set, text, err);
        break;
    default:
        return err_say(err, EINVAL, "that is no limit");
    }
    if (!rc)
        set->fields |= field;
    return rc;
}
