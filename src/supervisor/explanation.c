#include "supervisor/explanation.h"

#include "ipc/message.h"
#include "ipc/region.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <stdbool.h>

#define WHOLE           100000u /* milli-percent */
#define NO_FACTOR_MILLI 1000u
#define NOT_KNOWN       UINT32_MAX

static bool has_cap(const struct message_explained *explained)
{
    return explained->cap_milli_percent < WHOLE;
}

/* With as many decimals as it has, at most three: 30, 12.5. */
static void add_decimal(struct str *text, uint64_t thousandths)
{
    uint64_t rest = thousandths % 1000;
    int digits = 3;

    str_add(text, "%llu", (unsigned long long)(thousandths / 1000));
    if (!rest)
        return;
    for (; rest % 10 == 0; rest /= 10)
        digits--;
    str_add(text, ".%0*llu", digits, (unsigned long long)rest);
}

static void add_percent(struct str *text, uint64_t milli_percent)
{
    add_decimal(text, milli_percent);
    str_add(text, " %%");
}

static void add_ms(struct str *text, uint64_t ns)
{
    add_decimal(text, (ns + NS_PER_US / 2) / NS_PER_US);
    str_add(text, " ms");
}

static void add_slice(struct str *text, uint64_t slice_us)
{
    if (slice_us < 1000)
        str_add(text, "%llu us", (unsigned long long)slice_us);
    else
        add_ms(text, slice_us * NS_PER_US);
}

static uint32_t neighbour_count(const struct message_explained *explained)
{
    return explained->neighbour_count < MESSAGE_NEIGHBOURS_MAX ? explained->neighbour_count
                                                               : MESSAGE_NEIGHBOURS_MAX;
}

/* Of all tenants on this GPU; false where some are not described. */
static bool sum_caps(const struct message_explained *explained, uint64_t *ret_milli_percent)
{
    uint64_t sum = has_cap(explained) ? explained->cap_milli_percent : 0;
    uint32_t described = neighbour_count(explained);

    if (explained->tenant_count > described + 1)
        return false;
    for (uint32_t i = 0; i < described; i++)
        if (explained->neighbours[i].cap_milli_percent < WHOLE)
            sum += explained->neighbours[i].cap_milli_percent;
    *ret_milli_percent = sum;
    return true;
}

/* Who has no cap and nobody beside it is spared what records cost: there need not be any. */
static bool needs_records(const struct message_explained *explained)
{
    return has_cap(explained) || explained->tenant_count > 1 || explained->is_suspended;
}

/* What stands in the way of all else. Returns whether anything more is to be said. */
static bool write_state(const struct message_explained *explained, struct str *text)
{
    if (explained->engine != REGION_ENGINE_RM) {
        str_add(text, "Only its memory is limited: this GPU's scheduler does not obey (vgpu doctor "
                      "says how that was seen).\n");
        return false;
    }
    if (explained->is_suspended)
        str_add(text, "It is suspended: its channels are off until it is resumed.\n");
    if (!explained->planned_ns) {
        str_add(text, "There is no plan yet: nothing of it has come to this GPU.\n");
        return false;
    }
    if (!explained->has_records && needs_records(explained))
        str_add(text, "Its use cannot be measured here, as the GPU gives no context-switch "
                      "records: a cap cannot be kept.\n");
    return true;
}

static void write_capped(const struct message_explained *explained, struct str *text)
{
    bool is_less = explained->cap_in_force_milli_percent < explained->cap_milli_percent;
    uint64_t sum = 0;
    bool is_known = sum_caps(explained, &sum);

    str_add(text, "It asked for at most ");
    add_percent(text, explained->cap_milli_percent);
    str_add(text, " and is entitled to ");
    add_percent(text, explained->entitled_milli_percent);
    if (is_known) {
        str_add(text, ": the caps on this GPU sum to ");
        add_percent(text, sum);
    }
    if (is_less) {
        str_add(text, "%s", is_known ? ", more than there is, so that each" : ": each");
        str_add(text, " has a part by weight; the cap in force is ");
        add_percent(text, explained->cap_in_force_milli_percent);
    }
    str_add(text, ".\n");
}

static void write_entitlement(const struct message_explained *explained, struct str *text)
{
    if (has_cap(explained)) {
        write_capped(explained, text);
        return;
    }
    str_add(text, "It has no cap and is entitled to ");
    add_percent(text, explained->entitled_milli_percent);
    if (explained->tenant_count > 1)
        str_add(text,
                ": the tenants without a cap share by weight what the caps leave, and its weight "
                "is %u.\n",
                explained->weight);
    else
        str_add(text, ": it knows of no other tenant that works on this GPU.\n");
}

static void write_priority(const struct message_explained *explained, struct str *text)
{
    if (explained->priority == REGION_HIGH)
        str_add(text, "Its priority is high: while it is active, the slices of the others are "
                      "as short as their caps allow, so that it waits less.\n");
    else if (explained->priority == REGION_LOW)
        str_add(text, "Its priority is low: it runs in what the others leave.\n");
}

static void write_use(const struct message_explained *explained, struct str *text)
{
    bool has_use = explained->used_milli_percent != MESSAGE_UNKNOWN;
    /* Of one that is off this second the last one's is a riddle. */
    bool has_duty = explained->duty_milli_percent != MESSAGE_UNKNOWN && !explained->is_suspended;

    if (!explained->is_active && !explained->is_suspended)
        str_add(text, "It has had no work within the last half second: nobody makes room for it "
                      "until it has.\n");
    if (!has_use && !has_duty)
        return;
    str_add(text, "In the last second ");
    if (has_use) {
        str_add(text, "it used ");
        add_percent(text, explained->used_milli_percent);
        str_add(text, " of the GPU's time");
    }
    if (has_duty) {
        str_add(text, "%sits channels were on for ", has_use ? ", and " : "");
        add_percent(text, explained->duty_milli_percent);
        str_add(text, " of it");
    }
    str_add(text, ".\n");
}

static void write_slice(const struct message_explained *explained, struct str *text)
{
    if (!explained->group_count) {
        str_add(text, "It has no channel group on this GPU, so there is no slice to set.\n");
        return;
    }
    if (explained->slice_us == MESSAGE_UNKNOWN || !explained->slice_us)
        str_add(text, "Its slice is the driver's default");
    else {
        str_add(text, "Its slice is ");
        add_slice(text, explained->slice_us);
    }
    if (explained->busy_group_count > 1)
        str_add(text,
                " for each of its %u busy groups (of %u): the tenant's time is divided among "
                "them.\n",
                explained->busy_group_count, explained->group_count);
    else
        str_add(text, "; %u of its %u group%s busy.\n", explained->busy_group_count,
                explained->group_count, explained->group_count == 1 ? " is" : "s are");
}

/* Of each window, the idle correction with it. In floating point: nothing of it can overflow. */
static uint64_t find_allowance_ns(const struct message_explained *explained)
{
    uint32_t factor_milli =
        explained->idle_factor_milli ? explained->idle_factor_milli : NO_FACTOR_MILLI;
    double allowance_ns = (double)explained->window_ns *
                          (explained->cap_in_force_milli_percent / (double)WHOLE) *
                          (factor_milli / (double)NO_FACTOR_MILLI);

    return allowance_ns < 1e18 ? (uint64_t)allowance_ns : UINT64_C(1000000000000000000);
}

static void write_budget(const struct message_explained *explained, struct str *text)
{
    uint64_t allowance_ns = find_allowance_ns(explained);
    bool is_debt = explained->balance_ns < 0;
    uint64_t balance_ns =
        is_debt ? 0 - (uint64_t)explained->balance_ns : (uint64_t)explained->balance_ns;

    if (explained->is_suspended)
        return; /* whose budget stands still: what is said of it is of when it ran */
    if (has_cap(explained) && !explained->has_records)
        return; /* which cannot be kept, as was said */
    if (!explained->window_ns) {
        str_add(text, "It has no budget: its channels are never switched off.\n");
        return;
    }
    str_add(text, "Its window is ");
    add_ms(text, explained->window_ns);
    str_add(text, ": in each it may use ");
    add_ms(text, allowance_ns);
    str_add(text, " of GPU time; balance %s", is_debt ? "-" : "+");
    add_ms(text, balance_ns);
    str_add(text, "%s.\n", is_debt ? ", which the next windows pay" : "");
    if (explained->call_ns) {
        str_add(text, "Each switch of its channels counts for ");
        add_ms(text, explained->call_ns);
        str_add(text, ", as a GPU takes at most 200 of them a second.\n");
    }
}

static void write_corrections(const struct message_explained *explained, struct str *text)
{
    if (!explained->window_ns || explained->is_suspended || !explained->has_records)
        return;
    if (explained->idle_factor_milli && explained->idle_factor_milli != NO_FACTOR_MILLI) {
        str_add(text, "It idles by itself while it holds the GPU: its budget is multiplied by ");
        add_decimal(text, explained->idle_factor_milli);
        str_add(text, ", because it works less than it holds.\n");
    }
    if (explained->rate_milli) {
        str_add(text, "While its channels are on it gets ");
        add_percent(text, (uint64_t)explained->rate_milli * 100);
        str_add(text, " of the GPU.\n");
    }
}

static void write_company(const struct message_explained *explained, struct str *text)
{
    uint32_t others = explained->tenant_count ? explained->tenant_count - 1 : 0;

    if (!others)
        str_add(text, "No other tenant that it knows of works on this GPU.\n");
    else
        str_add(text, "It shares the GPU with %u other tenant%s.\n", others,
                others == 1 ? "" : "s");
}

void explanation_write(const struct message_explained *explained, struct str *text)
{
    if (!write_state(explained, text))
        return;
    write_entitlement(explained, text);
    write_priority(explained, text);
    write_use(explained, text);
    write_slice(explained, text);
    write_budget(explained, text);
    write_corrections(explained, text);
    write_company(explained, text);
}

/* It comes out of a page that another tenant's supervisor wrote, and goes to a terminal. */
static void copy_name(char *ret_name, size_t size, const struct message_neighbour *neighbour)
{
    (void)str_format(ret_name, size, "%.*s", (int)sizeof(neighbour->name), neighbour->name);
    for (char *c = ret_name; *c; c++)
        if (*c <= ' ' || *c > '~')
            *c = '?';
}

static void write_neighbour(const struct message_neighbour *neighbour, struct str *text)
{
    char name[sizeof(neighbour->name) + 1], cap[24] = "-", used[24] = "-";

    copy_name(name, sizeof(name), neighbour);
    if (neighbour->cap_milli_percent < WHOLE)
        (void)str_format(cap, sizeof(cap), "%.1f%%", neighbour->cap_milli_percent / 1000.0);
    if (neighbour->used_milli_percent != NOT_KNOWN)
        (void)str_format(used, sizeof(used), "%.1f%%", neighbour->used_milli_percent / 1000.0);
    str_add(text, "%-20s %8s %8s %6u %-8s %6u %s\n", name, used, cap, neighbour->weight,
            region_priority_word(neighbour->priority), neighbour->busy_group_count,
            neighbour->is_active ? "yes" : "no");
}

void explanation_write_neighbours(const struct message_explained *explained, struct str *text)
{
    uint32_t described = neighbour_count(explained);

    if (!described)
        return;
    str_add(text, "%-20s %8s %8s %6s %-8s %6s %s\n", "NEIGHBOUR", "GPU USED", "GPU MAX", "WEIGHT",
            "PRIORITY", "GROUPS", "ACTIVE");
    for (uint32_t i = 0; i < described; i++)
        write_neighbour(&explained->neighbours[i], text);
    if (explained->tenant_count > described + 1)
        str_add(text, "and %u more\n", explained->tenant_count - 1 - described);
}
