#include "tests/harness.h"
#include "tests/unit/fake_tenants.h"

#include "cli/screen_layout.h"
#include "cli/screen_words.h"
#include "cli/top_view.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <stdlib.h>
#include <string.h>

#define SCREEN_BYTES (400 * 120)

static struct {
    struct top_model model;
    struct top_view view;
    struct screen_cells cells;
    struct screen_options options;
    char *screen; /* all rows, each with its line feed */
    bool is_ascii;
} at;

static void begin(void)
{
    memset(&at, 0, sizeof(at));
    top_model_init(&at.model, "node-1");
    top_view_init(&at.view);
    at.options = (struct screen_options){.time = "12:34:56", .interval_ns = NS_PER_SEC};
    at.screen = malloc(SCREEN_BYTES);
    CHECK(at.screen);
}

static void end(void)
{
    screen_cells_fini(&at.cells);
    top_model_fini(&at.model);
    free(at.screen);
}

static const char *draw(int width, int height)
{
    struct str screen;
    struct err err;

    screen_cells_fini(&at.cells);
    top_view_arrange(&at.view, &at.model);
    CHECK_OK(screen_cells_init(&at.cells, width, height, at.is_ascii, &err), &err);
    screen_layout_draw(&at.cells, &at.model, &at.view, &at.options);
    str_init(&screen, at.screen, SCREEN_BYTES);
    for (int i = 0; i < height; i++) {
        char row[2048];

        screen_cells_row(&at.cells, i, row, sizeof(row));
        str_add(&screen, "%s\n", row);
    }
    CHECK(!screen.is_cut);
    return at.screen;
}

static void check_screen(int width, int height, const char *wanted)
{
    if (strcmp(draw(width, height), wanted) != 0)
        fail_msg("got:\n%swanted:\n%s", at.screen, wanted);
}

static void check_has(const char *part)
{
    if (!strstr(at.screen, part))
        fail_msg("'%s' is not in:\n%s", part, at.screen);
}

static void check_lacks(const char *part)
{
    if (strstr(at.screen, part))
        fail_msg("'%s' is in:\n%s", part, at.screen);
}

/* Two tenants: one capped and at work for two refreshes, one of which nothing is known. */
static void put_two(void)
{
    struct listing_tenant tenants[] = {fake_tenant("trainer", "python3"),
                                       fake_tenant("idle", "sleep")};
    struct message_status_gpu *gpu = &tenants[0].status.gpus[0];
    struct top_gpu card = {.uuid = "GPU-0",
                           .model = "NVIDIA H100 80GB HBM3",
                           .card_bytes = 80 * FAKE_GIB,
                           .busy_percent = 97};

    gpu->cap_milli_percent = gpu->entitled_milli_percent = 30000;
    gpu->memory_limit_bytes = 8 * FAKE_GIB;
    gpu->memory_used_bytes = 2 * FAKE_GIB;
    gpu->slice_us = 10000;
    gpu->duty_milli_percent = 31250;
    gpu->weight = 2;
    gpu->priority = REGION_HIGH;
    for (int i = 0; i < 2; i++) {
        gpu->used_milli_percent = i ? 29900 : 0;
        top_model_begin(&at.model);
        top_model_put_gpu(&at.model, &card);
        CHECK_EQ(top_model_put(&at.model, &tenants[0]), 0);
        CHECK_EQ(top_model_put(&at.model, &tenants[1]), 0);
        top_model_end(&at.model);
    }
    fake_tenant_fini(&tenants[0]);
    fake_tenant_fini(&tenants[1]);
}

static void put_many(size_t count, const char *comm)
{
    struct listing_tenant *tenants = calloc(count, sizeof(*tenants));

    CHECK(tenants);
    for (size_t i = 0; i < count; i++) {
        char name[16];

        (void)str_format(name, sizeof(name), "t%03zu", i);
        tenants[i] = fake_tenant(name, comm);
    }
    fake_refresh(&at.model, tenants, count);
    for (size_t i = 0; i < count; i++)
        fake_tenant_fini(&tenants[i]);
    free(tenants);
}

TEST(a_small_terminal_has_all_that_matters)
{
    begin();
    put_two();
    check_screen(60, 15,
                 "vgpu top  node-1  12:34:56  2 tenants  2 processes  by share\n"
                 "GPU 0  H100 80GB~  29.9%   3.0GiB/80.0GiB  caps 30.0%\n"
                 "  NAME           STATE     GPU  USEDv    CAP     MEM   LIMIT\n"
                 "> trainer        running     0  29.9%  30.0%  2.0GiB  8.0GiB\n"
                 "  idle           running     0      -      -  1.0GiB       -\n"
                 "\n"
                 "\n"
                 "\n"
                 "\n"
                 "\n"
                 "─ trainer: running, supervisor 1000, priority high, weight 2\n"
                 "  GPU 0  slice 10.0ms  duty 31.3%  entitled 30.0%|        ⣀\n"
                 "       PID   MEMORY  COMMAND\n"
                 "      4321   1.0GiB  python3\n"
                 "? help  q quit  / filter  N S M C sort  m memory  c cap\n");
    end();
}

TEST(a_usual_terminal)
{
    begin();
    put_two();
    check_screen(
        80, 24,
        "vgpu top  node-1  12:34:56  2 tenants  2 processes  by share\n"
        "GPU 0  H100 80GB HBM3         29.9%  [▍         ] 3.0GiB/80.0GiB  caps 30.0%\n"
        "  NAME            STATE     GPU  USEDv    CAP ENTIT.     MEM   LIMIT PRIO    WGT\n"
        "> trainer         running     0  29.9%  30.0%  30.0%  2.0GiB  8.0GiB high      2\n"
        "  idle            running     0      -      -      -  1.0GiB       - normal    1\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "─ trainer: running, supervisor 1000, priority high, weight 2 ───────────────────\n"
        "  GPU 0  slice 10.0ms  duty 31.3%  entitled 30.0%|\n"
        "         used 29.9% of cap 30.0%                 |                            ⣠\n"
        "       PID   MEMORY  COMMAND\n"
        "      4321   1.0GiB  python3\n"
        "\n"
        "\n"
        "? help  q quit  / filter  N S M C sort  m memory  c cap  w weight  p priority\n");
    end();
}

TEST(a_large_terminal_has_every_column)
{
    static const char *const headings[] = {"NAME",   "STATE", "GPU",   "USEDv",         "CAP",
                                           "ENTIT.", "MEM",   "LIMIT", "MEM/LIMIT",     "PRIO",
                                           "WGT",    "SLICE", "DUTY",  "USED OVER TIME"};

    begin();
    put_two();
    (void)draw(300, 80);
    for (size_t i = 0; i < sizeof(headings) / sizeof(headings[0]); i++)
        check_has(headings[i]);
    check_has("limits  8.0GiB  card busy  97.0%");
    check_has("z suspend/resume");
    end();
}

TEST(without_utf8_there_is_ascii_alone)
{
    begin();
    at.is_ascii = true;
    put_two();
    (void)draw(300, 80);
    for (const char *c = at.screen; *c; c++)
        CHECK((*c >= ' ' && *c <= '~') || *c == '\n');
    check_has("[###-------]");
    end();
}

TEST(every_size_is_drawn_within_its_grid)
{
    begin();
    put_many(30, "x");
    for (int width = 1; width < 140; width += 3)
        for (int height = 1; height < 40; height++)
            (void)draw(width, height);
    at.view.mode = TOP_HELP;
    (void)draw(1, 1);
    (void)draw(30, 3);
    at.view.mode = TOP_PROMPT;
    (void)draw(1, 1);
    end();
}

TEST(nobody_there_is_said)
{
    begin();
    (void)draw(80, 24);
    check_has("asking the tenants ...");
    check_lacks("no GPU answers here");
    fake_refresh(&at.model, NULL, 0);
    (void)draw(80, 24);
    check_has("no tenant is running here");
    check_has("no GPU answers here");
    check_has("0 tenants  0 processes");
    put_two();
    (void)str_format(at.view.filter, sizeof(at.view.filter), "zzz");
    (void)draw(80, 24);
    check_has("no tenant matches the filter");
    check_has("filter: zzz (0)");
    end();
}

TEST(of_many_tenants_the_chosen_one_is_in_sight)
{
    begin();
    put_many(200, "x");
    at.view.sort = TOP_SORT_NAME;
    (void)draw(80, 24);
    check_has("200 tenants  200 processes");
    check_has("> t000");
    check_lacks("t199");
    for (size_t i = 0; i < 199; i++) {
        char marked[16];

        (void)top_view_press(&at.view, &at.model, 'j');
        (void)str_format(marked, sizeof(marked), "\n> t%03zu", i + 1);
        (void)draw(60, 15);
        check_has(marked);
    }
    check_lacks("t000");
    end();
}

TEST(a_tenant_of_many_gpus_has_a_line_for_each)
{
    struct listing_tenant tenant = fake_tenant("wide", "x");

    begin();
    for (int i = 1; i < 8; i++)
        fake_tenant_add_gpu(&tenant);
    fake_refresh(&at.model, &tenant, 1);
    (void)draw(80, 40);
    check_has("> wide            running     0");
    check_has("\n>                             7");
    (void)draw(60, 15); /* more GPUs than rows for them */
    check_has("and 6 more GPUs");
    fake_tenant_fini(&tenant);
    end();
}

TEST(hostile_names_of_commands_cannot_break_out)
{
    static const char *const comms[] = {
        "a\033[2Jb", "x\ny\tz", "\xff\xfe\x9b",
        "\xe2\x80\xae"
        "abc",
        "\xe8\xa8\x93\xe7\xb7\xb4\xe8\xa8\x93\xe7\xb7\xb4\xe8\xa8\x93"};

    begin();
    for (size_t i = 0; i < sizeof(comms) / sizeof(comms[0]); i++) {
        struct listing_tenant tenant = fake_tenant("a", comms[i]);

        fake_refresh(&at.model, &tenant, 1);
        (void)draw(60, 15);
        check_lacks("\033");
        check_lacks("\x9b");
        check_lacks("\xe2\x80\xae");
        check_has("4321");
        fake_tenant_fini(&tenant);
    }
    check_has("訓練訓練訓");
    end();
}

TEST(what_is_not_known_is_a_dash)
{
    struct listing_tenant tenants[] = {fake_tenant("orphan", "x"), {.name = "!hung"}};
    struct message_status_gpu *gpu = &tenants[0].status.gpus[0];

    begin();
    tenants[0].is_orphan = true;
    gpu->memory_used_bytes = MESSAGE_UNKNOWN;
    at.view.sort = TOP_SORT_NAME;
    fake_refresh(&at.model, tenants, 2);
    (void)draw(80, 24);
    check_has("> hung            no answer   -      -      -      -       -       - -         -");
    check_has("  orphan          orphaned    0      -      -      -       -       - normal    1");
    check_has("GPU 0  -                          -  [          ]      -/80.0GiB  caps 0.0%");
    check_has("hung: no answer");
    check_has("  processes: -");
    fake_tenant_fini(&tenants[0]);
    end();
}

TEST(states_and_the_choice_are_words_and_marks_not_colours_alone)
{
    begin();
    put_two();
    (void)draw(80, 24);
    check_has("\n> trainer");
    CHECK(screen_cells_at(&at.cells, 3, 2)->attributes & SCREEN_REVERSE);
    CHECK(!(screen_cells_at(&at.cells, 4, 2)->attributes & SCREEN_REVERSE));
    CHECK(screen_cells_at(&at.cells, 4, 18)->attributes & SCREEN_GOOD);
    check_has("idle            running");
    top_view_say(&at.view, true, "no such thing");
    (void)draw(80, 24);
    check_has("\n failed: no such thing\n");
    end();
}

TEST(prompts_are_in_the_last_row)
{
    begin();
    put_two();
    (void)draw(80, 24);
    (void)top_view_press(&at.view, &at.model, 'm');
    (void)top_view_press(&at.view, &at.model, '8');
    (void)draw(80, 24);
    check_has("\ntrainer: memory limit (8GiB, 40%, none): 8_\n");
    (void)top_view_press(&at.view, &at.model, TOP_KEY_ESCAPE);
    (void)top_view_press(&at.view, &at.model, 'z');
    (void)draw(80, 24);
    check_has("\nsuspend trainer? y: its GPU work stops until it is resumed");
    (void)top_view_press(&at.view, &at.model, 'n');
    (void)top_view_press(&at.view, &at.model, '/');
    (void)top_view_press(&at.view, &at.model, 'i');
    (void)draw(80, 24);
    check_has("\nfilter (Enter keeps it, Esc drops it): i_\n");
    end();
}

TEST(help_fits_the_smallest_terminal)
{
    begin();
    put_two();
    at.view.mode = TOP_HELP;
    (void)draw(60, 15);
    check_has("Any key leaves this page\n");
    check_has("m c w p");
    check_lacks("freeze");
    end();
}

TEST(a_plain_frame_is_header_and_table)
{
    begin();
    at.options.is_plain = true;
    at.is_ascii = true;
    put_two();
    top_view_arrange(&at.view, &at.model);
    CHECK_EQ(screen_layout_plain_height(&at.model, &at.view), 5);
    check_screen(100, 5,
                 "vgpu top  node-1  12:34:56  2 tenants  2 processes\n"
                 "GPU 0  H100 80GB HBM3         29.9%  [#---------] 3.0GiB/80.0GiB"
                 "  caps 30.0%  limits  8.0GiB\n"
                 "  NAME           STATE     GPU  USEDv    CAP ENTIT.     MEM   LI"
                 "MIT MEM/LIMIT    PRIO    WGT   SLICE\n"
                 "  trainer        running     0  29.9%  30.0%  30.0%  2.0GiB  8.0"
                 "GiB [###-------] high      2  10.0ms\n"
                 "  idle           running     0      -      -      -  1.0GiB     "
                 "  - [#---------] normal    1       -\n");
    end();
}

TEST(numbers_are_short_words)
{
    char word[SCREEN_WORD_MAX];

    CHECK_STR_EQ(screen_words_size(word, 0), "0MiB");
    CHECK_STR_EQ(screen_words_size(word, 999 * (FAKE_GIB / 1024)), "999MiB");
    CHECK_STR_EQ(screen_words_size(word, FAKE_GIB), "1.0GiB");
    CHECK_STR_EQ(screen_words_size(word, 999 * FAKE_GIB), "999.0GiB");
    CHECK_STR_EQ(screen_words_size(word, 2048 * FAKE_GIB), "2.0TiB");
    CHECK_STR_EQ(screen_words_size(word, UINT64_MAX), "-");
    CHECK_STR_EQ(screen_words_percent(word, 29940), "29.9%");
    CHECK_STR_EQ(screen_words_cap(word, 100000), "-");
    CHECK_STR_EQ(screen_words_cap(word, 99900), "99.9%");
    CHECK_STR_EQ(screen_words_us(word, 250), "250us");
    CHECK_STR_EQ(screen_words_us(word, 10000), "10.0ms");
    CHECK_STR_EQ(screen_words_us(word, UINT64_MAX), "-");
}
