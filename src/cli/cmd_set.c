#include "cli/client.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/limit_options.h"
#include "ipc/region.h"
#include "supervisor/gpus.h"
#include "supervisor/runtime.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

/* `set NAME --compute 60%`: the options stand behind the name. */
static int read_rest(const struct command_line *line, struct command_line *ret_rest)
{
    *ret_rest = *line;
    return command_parse(ret_rest, line->operands + 1);
}

struct cards {
    struct gpus_card cards[REGION_GPUS_MAX];
    uint32_t count;
};

/* The GPUs of the tenant, as who answers for it has them: its files are another's to read. */
static int ask_cards(const struct runtime *runtime, const char *name, struct cards *ret_cards,
                     struct err *err)
{
    struct client_tenant tenant;
    int rc = client_status(runtime, name, &tenant, err);

    if (rc < 0)
        return rc;
    ret_cards->count = (uint32_t)tenant.gpu_count;
    for (uint32_t i = 0; i < ret_cards->count; i++) {
        struct gpus_card *card = &ret_cards->cards[i];

        *card = (struct gpus_card){.nvml_index = tenant.gpus[i].nvml_index,
                                   .memory_bytes = tenant.gpus[i].card_bytes};
        (void)str_format(card->uuid, sizeof(card->uuid), "%s", tenant.gpus[i].uuid); /* same size */
    }
    client_tenant_fini(&tenant);
    return 0;
}

/* The GPUs that --gpu names: bits of NVML indices. */
static int read_gpus(const struct command_line *line, const char *name, const struct cards *cards,
                     uint32_t *ret_mask)
{
    const char *const *values;
    size_t given = command_values(line, "gpu", &values);

    *ret_mask = given ? 0 : UINT32_MAX;
    for (size_t i = 0; i < given; i++) {
        int position = limit_options_find_gpu(values[i], cards->cards, cards->count);

        if (position < 0 || cards->cards[position].nvml_index >= 32)
            return command_usage_error(line, "--gpu: tenant '%s' does not have GPU %s", name,
                                       values[i]);
        *ret_mask |= 1u << cards->cards[position].nvml_index;
    }
    return COMMAND_OK;
}

/* What is asked for on GPUs that are named, or has to fit on a card. */
static int check(const struct command_line *line, const struct runtime *runtime, const char *name,
                 struct message_set *set)
{
    struct cards cards;
    struct err err;
    int status;

    if (!command_has(line, "gpu") && !(set->fields & MESSAGE_SET_MEMORY))
        return COMMAND_OK;
    if (ask_cards(runtime, name, &cards, &err) < 0) {
        log_error("set: %s", err.text);
        return COMMAND_FAILED;
    }
    status = read_gpus(line, name, &cards, &set->gpu_mask);
    for (uint32_t i = 0; !status && i < cards.count; i++)
        if (set->gpu_mask == UINT32_MAX || set->gpu_mask & 1u << cards.cards[i].nvml_index)
            status = limit_options_check_memory(line, set, &cards.cards[i]);
    return status;
}

static int read_suspended(const struct command_line *line, struct message_set *set)
{
    bool is_suspend = command_has(line, "suspend"), is_resume = command_has(line, "resume");

    if (is_suspend && is_resume)
        return command_usage_error(line, "--suspend and --resume exclude each other");
    if (is_suspend || is_resume)
        set->fields |= MESSAGE_SET_SUSPENDED;
    set->is_suspended = is_suspend;
    return COMMAND_OK;
}

static int change(const struct command_line *line, const char *name)
{
    struct message_set set;
    struct runtime runtime;
    struct err err;
    int status = limit_options_read(line, &set);

    if (!status)
        status = read_suspended(line, &set);
    if (status)
        return status;
    if (!set.fields)
        return command_usage_error(line, "nothing to change: --memory, --compute, --weight, "
                                         "--priority, --suspend, --resume");
    if (parse_name(name, &err) < 0)
        return command_usage_error(line, "%s", err.text);
    if (client_open_runtime(&runtime, &err) < 0) {
        log_error("set: %s", err.text);
        return COMMAND_FAILED;
    }
    status = check(line, &runtime, name, &set);
    if (status)
        return status;
    if (client_set(&runtime, name, &set, &err) < 0) {
        log_error("set: %s", err.text);
        return COMMAND_FAILED;
    }
    return COMMAND_OK;
}

int cmd_set(const struct command_line *line)
{
    struct command_line rest;

    if (line->operand_count < 1)
        return command_usage_error(line, "a tenant's name is needed");
    if (read_rest(line, &rest))
        return COMMAND_USAGE;
    if (rest.operand_count)
        return command_usage_error(line, "'%s' is one name too many", rest.operands[0]);
    return change(&rest, line->operands[0]);
}
