#include "cli/limit_options.h"

#include "cli/command.h"
#include "cli/limit_text.h"
#include "supervisor/gpus.h"
#include "utils/parse.h"
#include "utils/str.h"

int limit_options_check_memory(const struct command_line *line, const struct message_set *set,
                               const struct gpus_card *card)
{
    if (!(set->fields & MESSAGE_SET_MEMORY) || set->memory_milli_percent ||
        set->memory_bytes == REGION_NO_LIMIT || set->memory_bytes <= card->memory_bytes)
        return COMMAND_OK;
    return command_usage_error(line, "--memory: GPU %u has only %lluMiB", card->nvml_index,
                               (unsigned long long)(card->memory_bytes >> 20));
}

int limit_options_read(const struct command_line *line, struct message_set *ret_set)
{
    static const struct {
        const char *option;
        enum message_set_field field;
    } limits[] = {{"memory", MESSAGE_SET_MEMORY},
                  {"compute", MESSAGE_SET_COMPUTE},
                  {"weight", MESSAGE_SET_WEIGHT},
                  {"priority", MESSAGE_SET_PRIORITY}};
    struct message_set set = {.gpu_mask = UINT32_MAX};
    struct err err;

    message_init(&set, MESSAGE_SET, sizeof(set));
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        const char *text = command_value(line, limits[i].option);

        if (text && limit_text_read(&set, limits[i].field, text, &err) < 0)
            return command_usage_error(line, "--%s: %s", limits[i].option, err.text);
    }
    *ret_set = set;
    return COMMAND_OK;
}

int limit_options_find_gpu(const char *text, const struct gpus_card *cards, uint32_t count)
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
        int position = limit_options_find_gpu(values[i], cards, count);

        if (position < 0)
            return unknown_gpu(line, values[i], cards, count);
        mask |= 1u << position;
    }
    *ret_mask = given ? mask : UINT32_MAX;
    return COMMAND_OK;
}
