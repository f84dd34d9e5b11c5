#include "hypervisor/api_explain.h"

#include "ipc/message.h"
#include "supervisor/explanation.h"
#include "tests/harness.h"
#include "utils/clock.h"
#include "utils/str.h"

/* The sentences of the API are the lines of explanation.h, of which test_explanation.c speaks. */
static void check_sentences(const struct message_explained *explained)
{
    char text[EXPLANATION_TEXT_MAX], joined[EXPLANATION_TEXT_MAX];
    json_t *sentences = api_explain_sentences(explained), *value;
    struct str written, read;
    size_t i;

    str_init(&written, text, sizeof(text));
    explanation_write(explained, &written);
    str_init(&read, joined, sizeof(joined));
    json_array_foreach(sentences, i, value) str_add(&read, "%s\n", json_string_value(value));
    CHECK(json_array_size(sentences) > 1);
    CHECK_STR_EQ(joined, text);
    json_decref(sentences);
}

TEST(the_api_says_what_vgpu_explain_says)
{
    struct message_explained explained = {.cap_milli_percent = 60000,
                                          .cap_in_force_milli_percent = 50000,
                                          .has_records = 1,
                                          .group_count = 1,
                                          .window_ns = 100 * NS_PER_MS,
                                          .balance_ns = -2500000,
                                          .planned_ns = 1,
                                          .tenant_count = 3,
                                          .neighbour_count = 2,
                                          .neighbours = {{.is_active = 1}, {.is_active = 0}},
                                          .used_milli_percent = 49900};

    check_sentences(&explained);
    explained.cap_milli_percent = explained.cap_in_force_milli_percent = 100000;
    explained.tenant_count = 1;
    explained.neighbour_count = 0;
    explained.is_suspended = 1;
    check_sentences(&explained);
}
