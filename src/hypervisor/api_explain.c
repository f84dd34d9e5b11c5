#include "hypervisor/api_explain.h"

#include "hypervisor/json_value.h"
#include "hypervisor/request.h"
#include "hypervisor/snapshot.h"
#include "supervisor/explanation.h"
#include "utils/str.h"

#include <string.h>

#define WHOLE_MILLI 100000u

json_t *api_explain_sentences(const struct message_explained *explained)
{
    char text[EXPLANATION_TEXT_MAX];
    json_t *sentences = json_array();
    struct str str;

    str_init(&str, text, sizeof(text));
    explanation_write(explained, &str);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        /* Without memory the sentence is missing; the numbers beside it say the same. */
        (void)json_array_append_new(sentences, json_value_text(line));
    }
    return sentences;
}

static json_t *neighbour_json(const struct message_neighbour *neighbour)
{
    uint64_t used = neighbour->used_milli_percent == UINT32_MAX ? SNAPSHOT_UNKNOWN
                                                                : neighbour->used_milli_percent;

    return json_pack("{s:o, s:o, s:i, s:s, s:i, s:b, s:o}", "name",
                     json_value_text(neighbour->name), "compute_limit_percent",
                     neighbour->cap_milli_percent < WHOLE_MILLI
                         ? json_value_thousandths(neighbour->cap_milli_percent)
                         : json_null(),
                     "weight", (int)neighbour->weight, "priority",
                     snapshot_priority_word(neighbour->priority), "busy_groups",
                     (int)neighbour->busy_group_count, "is_active", neighbour->is_active != 0,
                     "compute_used_percent", json_value_thousandths(used));
}

static json_t *neighbours_json(const struct message_explained *explained)
{
    json_t *array = json_array();

    /* An element without memory makes the list shorter than "tenants" says; nothing else. */
    for (uint32_t i = 0; i < explained->neighbour_count && i < MESSAGE_NEIGHBOURS_MAX; i++)
        (void)json_array_append_new(array, neighbour_json(&explained->neighbours[i]));
    return array;
}

static json_t *limits_json(const struct message_explained *explained)
{
    bool has_cap = explained->cap_milli_percent < WHOLE_MILLI;
    uint64_t cap = has_cap ? explained->cap_milli_percent : SNAPSHOT_UNKNOWN;
    uint64_t in_force = has_cap ? explained->cap_in_force_milli_percent : SNAPSHOT_UNKNOWN;

    return json_pack(
        "{s:o, s:o, s:o, s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "compute_limit_percent", json_value_thousandths(cap), "compute_limit_in_force_percent",
        json_value_thousandths(in_force), "entitled_percent",
        json_value_thousandths(explained->entitled_milli_percent), "weight", (int)explained->weight,
        "priority", snapshot_priority_word(explained->priority), "compute_used_percent",
        json_value_thousandths(explained->used_milli_percent), "duty_percent",
        json_value_thousandths(explained->duty_milli_percent), "slice_us",
        json_value_count(explained->slice_us), "window_ns", json_value_count(explained->window_ns),
        "phase_ns", json_value_count(explained->phase_ns), "balance_ns",
        json_integer((json_int_t)explained->balance_ns), "call_ns",
        json_value_count(explained->call_ns), "planned_ns",
        explained->planned_ns ? json_value_count(explained->planned_ns) : json_null());
}

static json_t *gpu_json(const struct message_explained *explained)
{
    json_t *object = json_pack(
        "{s:o, s:i, s:s, s:b, s:b, s:b, s:b, s:i, s:i, s:o, s:o, s:i, s:o, s:o}", "uuid",
        json_value_text(explained->uuid), "index", (int)explained->nvml_index, "engine",
        explained->engine == REGION_ENGINE_RM ? "rm" : "memory-only", "is_suspended",
        explained->is_suspended != 0, "is_active", explained->is_active != 0, "is_off",
        explained->is_off != 0, "has_records", explained->has_records != 0, "groups",
        (int)explained->group_count, "busy_groups", (int)explained->busy_group_count, "idle_factor",
        json_value_thousandths(explained->idle_factor_milli), "rate",
        json_value_thousandths(explained->rate_milli), "tenants", (int)explained->tenant_count,
        "neighbours", neighbours_json(explained), "sentences", api_explain_sentences(explained));
    json_t *limits = limits_json(explained);
    bool is_whole = object && limits && json_object_update(object, limits) == 0;

    json_decref(limits);
    if (is_whole)
        return object;
    json_decref(object);
    return NULL;
}

json_t *api_explain_json(const struct request *request)
{
    json_t *gpus = json_array();

    for (uint32_t i = 0; i < request->explanation_count && i < REGION_GPUS_MAX; i++) {
        json_t *gpu = gpu_json(&request->explanations[i]);

        if (gpu && json_array_append_new(gpus, gpu) == 0)
            continue;
        json_decref(gpus);
        return NULL;
    }
    return json_pack("{s:o, s:o}", "name", json_value_text(request->name), "gpus", gpus);
}
