#include "tests/harness.h"

#include "ipc/message.h"
#include "ipc/region.h"
#include "supervisor/explanation.h"
#include "utils/str.h"

#include <string.h>

static char words[EXPLANATION_TEXT_MAX];

/* A tenant capped at 30 % beside another at 50 %, at work. */
static struct message_explained capped(void)
{
    struct message_explained explained = {
        .engine = REGION_ENGINE_RM,
        .is_active = 1,
        .has_records = 1,
        .group_count = 3,
        .busy_group_count = 2,
        .cap_milli_percent = 30000,
        .cap_in_force_milli_percent = 30000,
        .entitled_milli_percent = 30000,
        .weight = 1,
        .priority = REGION_NORMAL,
        .idle_factor_milli = 1000,
        .rate_milli = 0,
        .used_milli_percent = 29900,
        .duty_milli_percent = 31250,
        .slice_us = 10000,
        .window_ns = 50000000,
        .balance_ns = 1200000,
        .planned_ns = 1,
        .tenant_count = 2,
        .neighbour_count = 1,
        .neighbours[0] = {.name = "other",
                          .cap_milli_percent = 50000,
                          .weight = 2,
                          .priority = REGION_HIGH,
                          .busy_group_count = 1,
                          .is_active = 1,
                          .used_milli_percent = 50100},
    };

    return explained;
}

static void write_all(const struct message_explained *explained)
{
    struct str text;

    str_init(&text, words, sizeof(words));
    explanation_write(explained, &text);
    CHECK(!text.is_cut);
}

/* The sentence is there, alone on its line. */
static void check_says(const struct message_explained *explained, const char *sentence)
{
    char wanted[512];

    write_all(explained);
    (void)str_format(wanted, sizeof(wanted), "%s\n", sentence);
    if (!strstr(words, wanted))
        fail_msg("'%s' is not in:\n%s", sentence, words);
}

static void check_is_silent_of(const struct message_explained *explained, const char *part)
{
    write_all(explained);
    if (strstr(words, part))
        fail_msg("'%s' is in:\n%s", part, words);
}

TEST(a_capped_tenant_is_told_what_it_asked_for_and_what_the_caps_sum_to)
{
    struct message_explained explained = capped();

    check_says(&explained, "It asked for at most 30 % and is entitled to 30 %: the caps on this "
                           "GPU sum to 80 %.");
    check_says(&explained, "In the last second it used 29.9 % of the GPU's time, and its channels "
                           "were on for 31.25 % of it.");
    check_says(&explained, "Its slice is 10 ms for each of its 2 busy groups (of 3): the tenant's "
                           "time is divided among them.");
    check_says(&explained, "Its window is 50 ms: in each it may use 15 ms of GPU time; balance "
                           "+1.2 ms.");
    check_says(&explained, "It shares the GPU with 1 other tenant.");
}

TEST(caps_above_the_whole_are_said_to_be)
{
    struct message_explained explained = capped();

    explained.neighbours[0].cap_milli_percent = 90000;
    explained.entitled_milli_percent = explained.cap_in_force_milli_percent = 25000;
    check_says(&explained, "It asked for at most 30 % and is entitled to 25 %: the caps on this "
                           "GPU sum to 120 %, more than there is, so that each has a part by "
                           "weight; the cap in force is 25 %.");
}

TEST(a_sum_is_not_given_where_a_neighbour_is_not_described)
{
    struct message_explained explained = capped();

    explained.tenant_count = 3;
    check_says(&explained, "It asked for at most 30 % and is entitled to 30 %.");
    explained.cap_in_force_milli_percent = 20000;
    check_says(&explained, "It asked for at most 30 % and is entitled to 30 %: each has a part by "
                           "weight; the cap in force is 20 %.");
    check_says(&explained, "It shares the GPU with 2 other tenants.");
}

TEST(a_tenant_without_a_cap_shares_by_weight)
{
    struct message_explained explained = capped();

    explained.cap_milli_percent = explained.cap_in_force_milli_percent = 100000;
    explained.entitled_milli_percent = 50000;
    explained.weight = 7;
    explained.window_ns = 0;
    check_says(&explained, "It has no cap and is entitled to 50 %: the tenants without a cap share "
                           "by weight what the caps leave, and its weight is 7.");
    check_says(&explained, "It has no budget: its channels are never switched off.");
    explained.tenant_count = 1;
    explained.neighbour_count = 0;
    check_says(&explained, "It has no cap and is entitled to 50 %: it knows of no other tenant "
                           "that works on this GPU.");
    check_says(&explained, "No other tenant that it knows of works on this GPU.");
    explained.has_records = 0; /* which nobody needs then */
    check_is_silent_of(&explained, "cannot be measured");
    check_says(&explained, "It has no budget: its channels are never switched off.");
}

TEST(what_stands_in_the_way_is_said_first)
{
    struct message_explained explained = capped();

    explained.is_suspended = 1;
    check_says(&explained, "It is suspended: its channels are off until it is resumed.");
    explained.has_records = 0;
    check_says(&explained, "Its use cannot be measured here, as the GPU gives no context-switch "
                           "records: a cap cannot be kept.");
    explained.planned_ns = 0;
    check_says(&explained, "There is no plan yet: nothing of it has come to this GPU.");
    check_is_silent_of(&explained, "entitled");
    explained.engine = REGION_ENGINE_MEMORY_ONLY;
    check_says(&explained, "Only its memory is limited: this GPU's scheduler does not obey (vgpu "
                           "doctor says how that was seen).");
    check_is_silent_of(&explained, "suspended");
}

TEST(nothing_is_said_of_a_budget_that_cannot_be_kept)
{
    struct message_explained explained = capped();

    explained.has_records = 0;
    explained.call_ns = 5000000;
    explained.idle_factor_milli = 1500;
    explained.rate_milli = 875;
    check_says(&explained, "Its use cannot be measured here, as the GPU gives no context-switch "
                           "records: a cap cannot be kept.");
    check_is_silent_of(&explained, "Its window");
    check_is_silent_of(&explained, "balance");
    check_is_silent_of(&explained, "switch of its channels");
    check_is_silent_of(&explained, "multiplied");
    check_is_silent_of(&explained, "it gets");
}

/* Its channels are off, whether it has a cap or not. */
TEST(nothing_is_said_of_a_suspended_tenant_s_budget)
{
    struct message_explained explained = capped();

    explained.is_suspended = 1;
    explained.is_active = 0;
    check_says(&explained, "It is suspended: its channels are off until it is resumed.");
    check_is_silent_of(&explained, "Its window is");
    check_is_silent_of(&explained, "no work within");
    check_is_silent_of(&explained, "channels were on for");
    explained.window_ns = 0;
    check_is_silent_of(&explained, "never switched off");
}

TEST(priorities_are_explained_where_they_matter)
{
    struct message_explained explained = capped();

    check_is_silent_of(&explained, "priority");
    explained.priority = REGION_HIGH;
    check_says(&explained, "Its priority is high: while it is active, the slices of the others are "
                           "as short as their caps allow, so that it waits less.");
    explained.priority = REGION_LOW;
    check_says(&explained, "Its priority is low: it runs in what the others leave.");
}

TEST(what_is_not_known_is_not_said)
{
    struct message_explained explained = capped();

    explained.used_milli_percent = MESSAGE_UNKNOWN;
    check_says(&explained, "In the last second its channels were on for 31.25 % of it.");
    explained.duty_milli_percent = MESSAGE_UNKNOWN;
    check_is_silent_of(&explained, "last second");
    explained.used_milli_percent = 5;
    check_says(&explained, "In the last second it used 0.005 % of the GPU's time.");
    explained.is_active = 0;
    check_says(&explained, "It has had no work within the last half second: nobody makes room for "
                           "it until it has.");
}

TEST(slices_are_told_as_they_are_set)
{
    struct message_explained explained = capped();

    explained.busy_group_count = 1;
    explained.slice_us = 250;
    check_says(&explained, "Its slice is 250 us; 1 of its 3 groups are busy.");
    explained.group_count = 1;
    explained.slice_us = MESSAGE_UNKNOWN;
    check_says(&explained, "Its slice is the driver's default; 1 of its 1 group is busy.");
    explained.group_count = 0;
    check_says(&explained, "It has no channel group on this GPU, so there is no slice to set.");
}

TEST(a_budget_tells_of_debts_switches_and_corrections)
{
    struct message_explained explained = capped();

    check_is_silent_of(&explained, "switch of its channels");
    check_is_silent_of(&explained, "multiplied");
    check_is_silent_of(&explained, "While its channels");
    explained.balance_ns = -2500000;
    explained.call_ns = 5000000;
    explained.idle_factor_milli = 1500;
    explained.rate_milli = 875;
    check_says(&explained, "Its window is 50 ms: in each it may use 22.5 ms of GPU time; balance "
                           "-2.5 ms, which the next windows pay.");
    check_says(&explained,
               "Each switch of its channels counts for 5 ms, as a GPU takes at most 200 "
               "of them a second.");
    check_says(&explained, "It idles by itself while it holds the GPU: its budget is multiplied by "
                           "1.5, because it works less than it holds.");
    check_says(&explained, "While its channels are on it gets 87.5 % of the GPU.");
}

TEST(numbers_of_any_size_fit)
{
    struct message_explained explained;

    memset(&explained, 0xff, sizeof(explained));
    explained.engine = REGION_ENGINE_RM;
    write_all(&explained);
    explained.cap_milli_percent = 1;
    explained.window_ns = UINT64_MAX - 1;
    explained.slice_us = UINT64_MAX - 1;
    explained.balance_ns = INT64_MIN;
    write_all(&explained);
}

TEST(neighbours_are_a_table)
{
    struct message_explained explained = capped();
    struct str text;

    str_init(&text, words, sizeof(words));
    explained.tenant_count = 4;
    explanation_write_neighbours(&explained, &text);
    CHECK_STR_EQ(words, "NEIGHBOUR            GPU USED  GPU MAX WEIGHT PRIORITY GROUPS ACTIVE\n"
                        "other                   50.1%    50.0%      2 high          1 yes\n"
                        "and 2 more\n");
    explained.neighbours[0].cap_milli_percent = 100000;
    explained.neighbours[0].used_milli_percent = UINT32_MAX;
    explained.neighbours[0].is_active = 0;
    explained.neighbours[0].priority = REGION_LOW;
    explained.tenant_count = 2;
    str_init(&text, words, sizeof(words));
    explanation_write_neighbours(&explained, &text);
    CHECK(strstr(words, "other                       -        -      2 low           1 no\n"));
    CHECK(!strstr(words, "more"));
    explained.neighbour_count = 0;
    str_init(&text, words, sizeof(words));
    explanation_write_neighbours(&explained, &text);
    CHECK_STR_EQ(words, "");
}

TEST(a_neighbour_s_name_cannot_reach_the_terminal)
{
    struct message_explained explained = capped();
    struct str text;

    memset(explained.neighbours[0].name, 'x', sizeof(explained.neighbours[0].name));
    memcpy(explained.neighbours[0].name, "\033[2J\n\x9b", 6);
    explained.neighbour_count = UINT32_MAX;
    str_init(&text, words, sizeof(words));
    explanation_write_neighbours(&explained, &text);
    CHECK(!text.is_cut);
    CHECK(strstr(words, "?[2J??xxx"));
    CHECK(!strchr(words, '\033') && !strchr(words, '\x9b'));
}
