#include "supervisor/explanation_json.h"

#include "ipc/message.h"
#include "ipc/region.h"
#include "supervisor/explanation.h"
#include "tests/harness.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <string.h>

/* Between two neighbours, over its cap. */
static const struct message_explained capped = {
    .uuid = "GPU-1",
    .nvml_index = 3,
    .cap_milli_percent = 60000,
    .cap_in_force_milli_percent = 50000,
    .entitled_milli_percent = 50000,
    .weight = 7,
    .priority = REGION_HIGH,
    .has_records = 1,
    .is_active = 1,
    .group_count = 2,
    .busy_group_count = 1,
    .window_ns = 100 * NS_PER_MS,
    .balance_ns = -2500000,
    .idle_factor_milli = 1000,
    .rate_milli = 950,
    .planned_ns = 1,
    .tenant_count = 3,
    .neighbour_count = 2,
    .neighbours = {{.name = "b", .cap_milli_percent = 100000, .weight = 1, .is_active = 1},
                   {.name = "c", .cap_milli_percent = 20000, .used_milli_percent = UINT32_MAX}},
    .used_milli_percent = 49900,
    .duty_milli_percent = MESSAGE_UNKNOWN,
    .slice_us = MESSAGE_UNKNOWN,
};

static const json_t *gpu_of(const json_t *all)
{
    return json_array_get(json_object_get(all, "gpus"), 0);
}

static double number(const json_t *object, const char *key)
{
    CHECK(json_is_number(json_object_get(object, key)));
    return json_number_value(json_object_get(object, key));
}

static bool is_null(const json_t *object, const char *key)
{
    return json_is_null(json_object_get(object, key)) != 0;
}

static const char *word(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

TEST(the_numbers_of_the_plan_are_there)
{
    json_t *all = explanation_json_new("a", &capped, 1);
    const json_t *gpu = gpu_of(all);

    CHECK_STR_EQ(word(all, "name"), "a");
    CHECK_STR_EQ(word(gpu, "uuid"), "GPU-1");
    CHECK_EQ(number(gpu, "index"), 3);
    CHECK_EQ(number(gpu, "compute_limit_percent"), 60);
    CHECK_EQ(number(gpu, "compute_limit_in_force_percent"), 50);
    CHECK_EQ(number(gpu, "entitled_percent"), 50);
    CHECK_EQ(number(gpu, "weight"), 7);
    CHECK_STR_EQ(word(gpu, "priority"), "high");
    CHECK_EQ(number(gpu, "window_ns"), 100 * NS_PER_MS);
    CHECK_EQ(number(gpu, "balance_ns"), -2500000);
    CHECK(number(gpu, "rate") > 0.949 && number(gpu, "rate") < 0.951);
    CHECK(json_is_true(json_object_get(gpu, "has_records")));
    CHECK(json_is_false(json_object_get(gpu, "is_off")));
    CHECK(number(gpu, "compute_used_percent") > 49.8);
    CHECK(is_null(gpu, "duty_percent") && is_null(gpu, "slice_us"));
    CHECK_EQ(number(gpu, "tenants"), 3);
    json_decref(all);
}

TEST(what_is_not_there_is_null)
{
    struct message_explained free = capped;
    json_t *all;

    free.cap_milli_percent = free.cap_in_force_milli_percent = 100000;
    free.window_ns = free.planned_ns = 0;
    all = explanation_json_new("a", &free, 1);
    CHECK(is_null(gpu_of(all), "compute_limit_percent"));
    CHECK(is_null(gpu_of(all), "compute_limit_in_force_percent"));
    CHECK(is_null(gpu_of(all), "entitled_percent"));
    CHECK(is_null(gpu_of(all), "planned_ns"));
    CHECK(is_null(gpu_of(all), "window_ns") && is_null(gpu_of(all), "balance_ns"));
    CHECK(is_null(gpu_of(all), "rate") && is_null(gpu_of(all), "idle_factor"));
    json_decref(all);
}

TEST(the_neighbours_are_there_whatever_they_call_themselves)
{
    struct message_explained explained = capped;
    const json_t *neighbours, *second;
    json_t *all;

    memset(explained.neighbours[0].name, 'x', sizeof(explained.neighbours[0].name));
    (void)str_format(explained.neighbours[1].name, sizeof(explained.neighbours[1].name), "\xff\"");
    all = explanation_json_new("a", &explained, 1);
    neighbours = json_object_get(gpu_of(all), "neighbours");
    CHECK_EQ(json_array_size(neighbours), 2);
    CHECK_EQ(strspn(word(json_array_get(neighbours, 0), "name"), "x"), 63);
    second = json_array_get(neighbours, 1);
    CHECK_STR_EQ(word(second, "name"), "?\"");
    CHECK_EQ(number(second, "compute_limit_percent"), 20);
    CHECK(is_null(second, "compute_used_percent"));
    CHECK(is_null(json_array_get(neighbours, 0), "compute_limit_percent"));
    json_decref(all);
}

/* Of the lines themselves test_explanation.c speaks. */
TEST(its_sentences_are_those_of_vgpu_explain)
{
    char text[EXPLANATION_TEXT_MAX], joined[EXPLANATION_TEXT_MAX];
    json_t *all = explanation_json_new("a", &capped, 1), *value;
    const json_t *sentences = json_object_get(gpu_of(all), "sentences");
    struct str written, read;
    size_t i;

    str_init(&written, text, sizeof(text));
    explanation_write(&capped, &written);
    str_init(&read, joined, sizeof(joined));
    json_array_foreach(sentences, i, value) str_add(&read, "%s\n", json_string_value(value));
    CHECK(json_array_size(sentences) > 1);
    CHECK_STR_EQ(joined, text);
    json_decref(all);
}
