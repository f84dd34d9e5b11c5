#include "supervisor/explanation_json.h"

#include "ipc/message.h"
#include "ipc/region.h"
#include "supervisor/explanation.h"
#include "utils/str.h"

#include <string.h>

#define WHOLE_MILLI_PERCENT 100000u
#define TEXT_SIZE           64 /* of a name, and more than of a UUID */

static json_t *count_or_null(uint64_t value)
{
    return value <= INT64_MAX ? json_integer((json_int_t)value) : json_null();
}

static json_t *thousandths(uint64_t value)
{
    return value == MESSAGE_UNKNOWN ? json_null() : json_real((double)value / 1000.0);
}

static json_t *cap_or_null(uint32_t milli_percent)
{
    return thousandths(milli_percent < WHOLE_MILLI_PERCENT ? milli_percent : MESSAGE_UNKNOWN);
}

/* Bytes of a peer's making: `?` for what is no plain character, up to the field's end. */
static json_t *text_json(const char *field, size_t size)
{
    char copy[TEXT_SIZE];
    size_t length = 0;

    for (; length + 1 < sizeof(copy) && length < size && field[length]; length++)
        copy[length] = field[length] >= ' ' && field[length] <= '~' ? field[length] : '?';
    copy[length] = '\0';
    return json_string(copy);
}

static json_t *sentences_json(const struct message_explained *gpu)
{
    char lines[EXPLANATION_TEXT_MAX];
    json_t *array = json_array();
    struct str text;

    str_init(&text, lines, sizeof(lines));
    explanation_write(gpu, &text);
    for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        /* Without memory the sentence is missing; the numbers beside it say the same. */
        (void)json_array_append_new(array, json_string(line));
    }
    return array;
}

static json_t *neighbour_json(const struct message_neighbour *neighbour)
{
    uint64_t used_milli_percent = neighbour->used_milli_percent == UINT32_MAX
                                      ? MESSAGE_UNKNOWN
                                      : neighbour->used_milli_percent;

    return json_pack("{s:o, s:o, s:i, s:s, s:i, s:b, s:o}", "name",
                     text_json(neighbour->name, sizeof(neighbour->name)), "compute_limit_percent",
                     cap_or_null(neighbour->cap_milli_percent), "weight", (int)neighbour->weight,
                     "priority", region_priority_word(neighbour->priority), "busy_groups",
                     (int)neighbour->busy_group_count, "is_active", neighbour->is_active != 0,
                     "compute_used_percent", thousandths(used_milli_percent));
}

static json_t *neighbours_json(const struct message_explained *gpu)
{
    json_t *array = json_array();

    /* An element without memory makes the list shorter than "tenants" says; nothing else. */
    for (uint32_t i = 0; i < gpu->neighbour_count && i < MESSAGE_NEIGHBOURS_MAX; i++)
        (void)json_array_append_new(array, neighbour_json(&gpu->neighbours[i]));
    return array;
}

static json_t *state_json(const struct message_explained *gpu)
{
    return json_pack("{s:o, s:i, s:s, s:b, s:b, s:b, s:b, s:i, s:i, s:i, s:o, s:o}", "uuid",
                     text_json(gpu->uuid, sizeof(gpu->uuid)), "index", (int)gpu->nvml_index,
                     "engine", gpu->engine == REGION_ENGINE_RM ? "rm" : "memory-only",
                     "is_suspended", gpu->is_suspended != 0, "is_active", gpu->is_active != 0,
                     "is_off", gpu->is_off != 0, "has_records", gpu->has_records != 0, "groups",
                     (int)gpu->group_count, "busy_groups", (int)gpu->busy_group_count, "tenants",
                     (int)gpu->tenant_count, "neighbours", neighbours_json(gpu), "sentences",
                     sentences_json(gpu));
}

static json_t *plan_json(const struct message_explained *gpu)
{
    bool has_plan = gpu->planned_ns != 0;

    return json_pack("{s:o, s:o, s:o, s:i, s:s, s:o, s:o, s:o, s:o}", "compute_limit_percent",
                     cap_or_null(gpu->cap_milli_percent), "compute_limit_in_force_percent",
                     cap_or_null(gpu->cap_in_force_milli_percent), "entitled_percent",
                     thousandths(has_plan ? gpu->entitled_milli_percent : MESSAGE_UNKNOWN),
                     "weight", (int)gpu->weight, "priority", region_priority_word(gpu->priority),
                     "compute_used_percent", thousandths(gpu->used_milli_percent), "duty_percent",
                     thousandths(gpu->duty_milli_percent), "slice_us", count_or_null(gpu->slice_us),
                     "planned_ns", has_plan ? count_or_null(gpu->planned_ns) : json_null());
}

/* Only a tenant with a cap has one. */
static json_t *budget_json(const struct message_explained *gpu)
{
    if (!gpu->window_ns)
        return json_pack("{s:n, s:n, s:n, s:n, s:n, s:n}", "window_ns", "phase_ns", "balance_ns",
                         "call_ns", "idle_factor", "rate");
    return json_pack("{s:o, s:o, s:I, s:o, s:o, s:o}", "window_ns", count_or_null(gpu->window_ns),
                     "phase_ns", count_or_null(gpu->phase_ns), "balance_ns",
                     (json_int_t)gpu->balance_ns, "call_ns", count_or_null(gpu->call_ns),
                     "idle_factor", thousandths(gpu->idle_factor_milli), "rate",
                     thousandths(gpu->rate_milli));
}

static json_t *gpu_json(const struct message_explained *gpu)
{
    json_t *object = state_json(gpu), *plan = plan_json(gpu), *budget = budget_json(gpu);
    bool is_whole = object && plan && budget && json_object_update(object, plan) == 0 &&
                    json_object_update(object, budget) == 0;

    json_decref(plan);
    json_decref(budget);
    if (is_whole)
        return object;
    json_decref(object);
    return NULL;
}

json_t *explanation_json_new(const char *name, const struct message_explained *gpus, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *gpu = gpu_json(&gpus[i]);

        if (gpu && json_array_append_new(array, gpu) == 0)
            continue;
        json_decref(array);
        return NULL;
    }
    return json_pack("{s:o, s:o}", "name", text_json(name, TEXT_SIZE), "gpus", array);
}
