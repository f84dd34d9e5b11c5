#include "hypervisor/api_explain.h"

#include "ipc/message.h"
#include "tests/harness.h"
#include "utils/clock.h"

#include <string.h>

/* Whether one of the sentences is this one. */
static bool says(const struct message_explained *explained, const char *sentence)
{
    json_t *sentences = api_explain_sentences(explained), *value;
    bool is_said = false;
    size_t i;

    json_array_foreach(sentences, i, value) is_said =
        is_said || strcmp(json_string_value(value), sentence) == 0;
    json_decref(sentences);
    return is_said;
}

TEST(a_tenant_without_limit_and_neighbours)
{
    struct message_explained explained = {.cap_milli_percent = 100000,
                                          .entitled_milli_percent = 100000,
                                          .tenant_count = 1,
                                          .used_milli_percent = MESSAGE_UNKNOWN,
                                          .slice_us = MESSAGE_UNKNOWN};

    CHECK(says(&explained, "It has no compute limit."));
    CHECK(says(&explained, "It is alone on this GPU."));
    CHECK(says(&explained, "It has no work for the GPU at the moment."));
    CHECK(!says(&explained, "It used 0.000 % of it in the last second."));
    explained.is_suspended = 1;
    CHECK(
        says(&explained, "It is suspended: all its channels are off the GPU until it is resumed."));
}

TEST(a_limit_among_neighbours_is_explained)
{
    struct message_explained explained = {.cap_milli_percent = 60000,
                                          .cap_in_force_milli_percent = 50000,
                                          .window_ns = 100 * NS_PER_MS,
                                          .balance_ns = -2500000,
                                          .tenant_count = 3,
                                          .neighbour_count = 2,
                                          .neighbours = {{.is_active = 1}, {.is_active = 0}},
                                          .used_milli_percent = 49900};

    CHECK(says(&explained, "Its compute limit is 60.000 %."));
    CHECK(says(&explained, "The limits on this GPU add up to more than 100 %, so 50.000 % are in "
                           "force for it."));
    CHECK(says(&explained, "It is kept by a budget of GPU time in windows of 100.0 ms; 2.500 ms "
                           "are overdrawn."));
    CHECK(says(&explained, "It shares this GPU with 2 others, of which 1 has work for it."));
}
