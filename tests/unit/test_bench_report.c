#include "cli/bench_report.h"
#include "cli/bench_rows.h"
#include "tests/harness.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bench_rows rows;

static void fill(void)
{
    memset(&rows, 0, sizeof(rows));
    bench_rows_add(&rows, "cap 30 %", ": off",
                   &(struct bench_row){.got = 0.25, .bar = 0.7, .unit = "points"});
    bench_rows_add(&rows, "two", ": sum",
                   &(struct bench_row){.got = 95.5, .bar = 96, .is_least = true, .unit = "%"});
    bench_rows_add(&rows, "a < b & c", "", &(struct bench_row){.got = NAN, .bar = 2, .unit = "x"});
}

/* What a report is, as text that the caller frees. */
static char *print(void (*report)(const struct bench_report *, FILE *))
{
    const struct bench_report head = {
        .rows = &rows, .gpu = "A <GPU>", .driver = "580.1", .engine = "rm"};
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    CHECK(file != NULL);
    report(&head, file);
    fclose(file);
    return text;
}

static int count(const char *text, const char *word)
{
    int found = 0;

    for (text = strstr(text, word); text; text = strstr(text + 1, word))
        found++;
    return found;
}

TEST(a_row_passes_on_its_side_of_the_bar)
{
    fill();
    CHECK(bench_rows_passes(&rows.rows[0]));
    CHECK(!bench_rows_passes(&rows.rows[1]));
    CHECK(!bench_rows_passes(&rows.rows[2])); /* not measured */
    CHECK_EQ(bench_rows_passed(&rows), 1);
}

TEST(more_rows_than_fit_are_dropped)
{
    memset(&rows, 0, sizeof(rows));
    for (int i = 0; i < BENCH_ROWS_MAX + 5; i++)
        bench_rows_add(&rows, "row", "", &(struct bench_row){.unit = ""});
    CHECK_EQ(rows.count, BENCH_ROWS_MAX);
}

TEST(json_has_null_for_what_was_not_measured)
{
    char *text;
    json_t *object, *row;

    fill();
    text = print(bench_report_json);
    object = json_loads(text, 0, NULL);
    CHECK(object != NULL);
    CHECK_STR_EQ(json_string_value(json_object_get(object, "gpu")), "A <GPU>");
    CHECK_EQ(json_array_size(json_object_get(object, "rows")), 3);
    row = json_array_get(json_object_get(object, "rows"), 0);
    CHECK_STR_EQ(json_string_value(json_object_get(row, "claim")), "cap 30 %: off");
    CHECK_NEAR(json_number_value(json_object_get(row, "got")), 0.25, 1e-9);
    CHECK(json_is_true(json_object_get(row, "pass")));
    row = json_array_get(json_object_get(object, "rows"), 2);
    CHECK(json_is_null(json_object_get(row, "got")));
    CHECK(json_is_false(json_object_get(row, "pass")));
    json_decref(object);
    free(text);
}

TEST(the_picture_has_a_bar_a_row_and_no_bare_markup)
{
    char *text;

    fill();
    text = print(bench_report_svg);
    CHECK(strncmp(text, "<svg ", 5) == 0);
    CHECK(strstr(text, "</svg>\n") != NULL);
    CHECK_EQ(count(text, "<rect "), 4); /* and the ground */
    CHECK(strstr(text, "a &lt; b &amp; c") != NULL);
    CHECK(strstr(text, "A &lt;GPU&gt;") != NULL);
    CHECK(strstr(text, "not measured") != NULL);
    CHECK(!strstr(text, "nan"));
    free(text);
}

TEST(the_table_ends_with_the_sum)
{
    char *text;

    fill();
    text = print(bench_report_table);
    CHECK(strstr(text, "1 passed, 2 failed\n") != NULL);
    free(text);
}
