#include "cli/client.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "supervisor/explanation.h"
#include "supervisor/runtime.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* --- JSON --- */

static json_t *number_or_null(uint64_t value)
{
    return value == MESSAGE_UNKNOWN ? json_null() : json_integer((json_int_t)value);
}

static json_t *percent_or_null(uint64_t milli_percent)
{
    return milli_percent == MESSAGE_UNKNOWN ? json_null()
                                            : json_real((double)milli_percent / 1000.0);
}

static json_t *cap_or_null(uint32_t milli_percent)
{
    return percent_or_null(milli_percent >= LISTING_NO_CAP ? MESSAGE_UNKNOWN : milli_percent);
}

static json_t *sentences_to_json(const struct message_explained *gpu)
{
    char lines[EXPLANATION_TEXT_MAX], *rest = NULL;
    json_t *array = json_array();
    struct str text;

    str_init(&text, lines, sizeof(lines));
    explanation_write(gpu, &text);
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        (void)json_array_append_new(array, json_string(line));
    return array;
}

static json_t *neighbours_to_json(const struct message_explained *gpu)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < gpu->neighbour_count && i < MESSAGE_NEIGHBOURS_MAX; i++) {
        const struct message_neighbour *neighbour = &gpu->neighbours[i];

        (void)json_array_append_new(
            array,
            json_pack(
                "{s:o, s:o, s:i, s:s, s:i, s:b, s:o}", "name",
                json_stringn(neighbour->name, strnlen(neighbour->name, sizeof(neighbour->name))),
                "compute_limit_percent", cap_or_null(neighbour->cap_milli_percent), "weight",
                (int)neighbour->weight, "priority", listing_priority_word(neighbour->priority),
                "busy_groups", (int)neighbour->busy_group_count, "is_active",
                (int)neighbour->is_active, "compute_used_percent",
                percent_or_null(neighbour->used_milli_percent == UINT32_MAX
                                    ? MESSAGE_UNKNOWN
                                    : neighbour->used_milli_percent)));
    }
    return array;
}

static json_t *numbers_to_json(const struct message_explained *gpu)
{
    return json_pack(
        "{s:s, s:i, s:s, s:b, s:b, s:b, s:i, s:i, s:o, s:o, s:o, s:i, s:s, s:o, s:o, s:o}", "uuid",
        gpu->uuid, "index", (int)gpu->nvml_index, "engine",
        gpu->engine == REGION_ENGINE_RM ? "rm" : "memory-only", "is_suspended",
        (int)gpu->is_suspended, "is_active", (int)gpu->is_active, "is_measured",
        (int)gpu->has_records, "groups", (int)gpu->group_count, "busy_groups",
        (int)gpu->busy_group_count, "compute_limit_percent", cap_or_null(gpu->cap_milli_percent),
        "compute_limit_in_force_percent", cap_or_null(gpu->cap_in_force_milli_percent),
        "entitled_percent",
        percent_or_null(gpu->planned_ns ? gpu->entitled_milli_percent : MESSAGE_UNKNOWN), "weight",
        (int)gpu->weight, "priority", listing_priority_word(gpu->priority), "compute_used_percent",
        percent_or_null(gpu->used_milli_percent), "duty_percent",
        percent_or_null(gpu->duty_milli_percent), "slice_us", number_or_null(gpu->slice_us));
}

static json_t *budget_to_json(const struct message_explained *gpu)
{
    bool has_budget = gpu->window_ns != 0;
    uint64_t phase_ns = has_budget ? gpu->phase_ns : MESSAGE_UNKNOWN;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:i}", "window_ns",
                     number_or_null(has_budget ? gpu->window_ns : MESSAGE_UNKNOWN), "phase_ns",
                     number_or_null(phase_ns), "balance_ns",
                     has_budget ? json_integer(gpu->balance_ns) : json_null(), "call_ns",
                     number_or_null(has_budget ? gpu->call_ns : MESSAGE_UNKNOWN), "idle_factor",
                     has_budget ? json_real(gpu->idle_factor_milli / 1000.0) : json_null(),
                     "on_rate", has_budget ? json_real(gpu->rate_milli / 1000.0) : json_null(),
                     "tenants", (int)gpu->tenant_count);
}

static int print_json(const char *name, const struct client_explanation *explanation)
{
    json_t *gpus = json_array(), *all;

    for (size_t i = 0; i < explanation->gpu_count; i++) {
        const struct message_explained *gpu = &explanation->gpus[i];
        json_t *object = numbers_to_json(gpu), *budget = budget_to_json(gpu);

        (void)json_object_update(object, budget); /* both are there, or memory is out */
        json_decref(budget);
        (void)json_object_set_new(object, "neighbours", neighbours_to_json(gpu));
        (void)json_object_set_new(object, "sentences", sentences_to_json(gpu));
        (void)json_array_append_new(gpus, object);
    }
    all = json_pack("{s:s, s:o}", "name", name, "gpus", gpus);
    if (!all || json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) < 0) {
        json_decref(all);
        log_error("explain: the answer cannot be written as JSON");
        return COMMAND_FAILED;
    }
    printf("\n");
    json_decref(all);
    return COMMAND_OK;
}

/* --- text --- */

static void print_text(const char *name, const struct client_explanation *explanation)
{
    for (size_t i = 0; i < explanation->gpu_count; i++) {
        const struct message_explained *gpu = &explanation->gpus[i];
        char lines[EXPLANATION_TEXT_MAX], *rest = NULL;
        struct str text;

        str_init(&text, lines, sizeof(lines));
        explanation_write(gpu, &text);
        printf("%s%s on GPU %u (%s)\n", i ? "\n" : "", name, gpu->nvml_index, gpu->uuid);
        for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
            printf("  %s\n", line);
        str_init(&text, lines, sizeof(lines));
        explanation_write_neighbours(gpu, &text);
        if (text.length)
            printf("\n%s", lines);
    }
}

static int explain(const struct command_line *line, const char *name)
{
    struct client_explanation explanation;
    struct runtime runtime;
    struct err err;

    if (parse_name(name, &err) < 0)
        return command_usage_error(line, "%s", err.text);
    if (runtime_open(&runtime, &err) < 0 ||
        client_explain(&runtime, name, &explanation, &err) < 0) {
        log_error("explain: %s", err.text);
        return COMMAND_FAILED;
    }
    if (command_has(line, "json"))
        return print_json(name, &explanation);
    print_text(name, &explanation);
    return COMMAND_OK;
}

int cmd_explain(const struct command_line *line)
{
    struct command_line rest = *line;

    if (line->operand_count < 1)
        return command_usage_error(line, "a tenant's name is needed");
    /* `explain NAME --json`: options may stand behind the name. */
    if (command_parse(&rest, line->operands + 1))
        return COMMAND_USAGE;
    if (rest.operand_count)
        return command_usage_error(line, "'%s' is one name too many", rest.operands[0]);
    return explain(&rest, line->operands[0]);
}
