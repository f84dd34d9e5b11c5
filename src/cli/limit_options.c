#include "cli/limit_options.h"

#include "cli/command.h"
#include "supervisor/gpus.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <string.h>

#define WHOLE 100000u

static int read_memory(const struct command_line *line, struct message_set *set)
{
    const char *text = command_value(line, "memory");
    struct parse_size size;
    struct err err;

    if (!text)
        return COMMAND_OK;
    set->fields |= MESSAGE_SET_MEMORY;
    set->memory_bytes = REGION_NO_LIMIT;
    if (str_equals(text, "none"))
        return COMMAND_OK;
    if (parse_size(&size, text, &err) < 0)
        return command_usage_error(line, "--memory: %s", err.text);
    if (size.milli_percent)
        set->memory_milli_percent = size.milli_percent;
    else
        set->memory_bytes = size.bytes;
    return COMMAND_OK;
}

int limit_options_check_memory(const struct command_line *line, const struct message_set *set,
                               const struct gpus_card *card)
{
    if (!(set->fields & MESSAGE_SET_MEMORY) || set->memory_milli_percent ||
        set->memory_bytes == REGION_NO_LIMIT || set->memory_bytes <= card->memory_bytes)
        return COMMAND_OK;
    return command_usage_error(line, "--memory: GPU %u has only %lluMiB", card->nvml_index,
                               (unsigned long long)(card->memory_bytes >> 20));
}

static int read_compute(const struct command_line *line, struct message_set *set)
{
    const char *text = command_value(line, "compute");
    struct err err;

    if (!text)
        return COMMAND_OK;
    set->fields |= MESSAGE_SET_COMPUTE;
    set->cap_milli_percent = WHOLE;
    if (str_equals(text, "none"))
        return COMMAND_OK;
    if (parse_percent(&set->cap_milli_percent, text, &err) < 0)
        return command_usage_error(line, "--compute: %s", err.text);
    return COMMAND_OK;
}

static int read_weight(const struct command_line *line, struct message_set *set)
{
    const char *text = command_value(line, "weight");
    struct err err;
    uint64_t weight;

    if (!text)
        return COMMAND_OK;
    if (parse_u64(&weight, text, 1, 1000, &err) < 0)
        return command_usage_error(line, "--weight: %s", err.text);
    set->fields |= MESSAGE_SET_WEIGHT;
    set->weight = (uint32_t)weight;
    return COMMAND_OK;
}

static int read_priority(const struct command_line *line, struct message_set *set)
{
    static const char *const names[] = {
        [REGION_LOW] = "low", [REGION_NORMAL] = "normal", [REGION_HIGH] = "high"};
    const char *text = command_value(line, "priority");

    if (!text)
        return COMMAND_OK;
    for (uint32_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (!str_equals(text, names[i]))
            continue;
        set->fields |= MESSAGE_SET_PRIORITY;
        set->priority = i;
        return COMMAND_OK;
    }
    return command_usage_error(line, "--priority: '%s' is none of high, normal, low", text);
}

int limit_options_read(const struct command_line *line, struct message_set *ret_set)
{
    struct message_set set = {.gpu_mask = UINT32_MAX};

    message_init(&set, MESSAGE_SET, sizeof(set));
    if (read_memory(line, &set) || read_compute(line, &set) || read_weight(line, &set) ||
        read_priority(line, &set))
        return COMMAND_USAGE;
    *ret_set = set;
    return COMMAND_OK;
}

static int find_gpu(const char *text, const struct gpus_card *cards, uint32_t count)
{
    uint64_t index;

    if (parse_u64(&index, text, 0, UINT32_MAX, NULL) == 0) {
        for (uint32_t i = 0; i < count; i++)
            if (cards[i].nvml_index == index)
                return (int)i;
        return -1;
    }
    for (uint32_t i = 0; i < count; i++)
        if (str_equals(cards[i].uuid, text))
            return (int)i;
    return -1;
}

static int unknown_gpu(const struct command_line *line, const char *text,
                       const struct gpus_card *cards, uint32_t count)
{
    char indices[GPUS_MAX * 4];
    struct str str;

    str_init(&str, indices, sizeof(indices));
    for (uint32_t i = 0; i < count; i++)
        str_add(&str, "%s%u", i ? ", " : "", cards[i].nvml_index);
    return command_usage_error(line, "--gpu: no GPU '%s' answers here (%s, or a UUID)", text,
                               indices);
}

int limit_options_read_gpus(const struct command_line *line, const struct gpus_card *cards,
                            uint32_t count, uint32_t *ret_mask)
{
    const char *const *values;
    size_t given = command_values(line, "gpu", &values);
    uint32_t mask = 0;

    for (size_t i = 0; i < given; i++) {
        int position = find_gpu(values[i], cards, count);

        if (position < 0)
            return unknown_gpu(line, values[i], cards, count);
        mask |= 1u << position;
    }
    *ret_mask = given ? mask : UINT32_MAX;
    return COMMAND_OK;
}
