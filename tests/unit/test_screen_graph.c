#include "tests/harness.h"

#include "cli/history.h"
#include "cli/screen_cells.h"
#include "cli/screen_graph.h"

static struct screen_cells cells;
static struct history history;
static char text[512];

static void begin(bool is_ascii)
{
    struct err err;

    CHECK_OK(screen_cells_init(&cells, 10, 3, is_ascii, &err), &err);
    history = (struct history){.count = 0};
}

static const char *row(int number)
{
    screen_cells_row(&cells, number, text, sizeof(text));
    return text;
}

static void draw(int width, int height)
{
    struct screen_box box = {.row = 0, .column = 1, .width = width, .height = height};

    screen_graph_history(&cells, &box, &history, 0);
}

static const char *bar(bool is_ascii, uint64_t part, uint64_t whole)
{
    struct screen_pen pen;

    begin(is_ascii);
    pen = screen_cells_pen(&cells, 0, 0);
    screen_graph_bar(&pen, 10, part, whole);
    (void)row(0);
    screen_cells_fini(&cells);
    return text;
}

TEST(the_newest_sample_is_at_the_right)
{
    begin(true);
    history_add(&history, 100000);
    history_add(&history, 50000);
    history_add(&history, 0);
    draw(5, 1);
    CHECK_STR_EQ(row(0), "   #=.");
    screen_cells_fini(&cells);
}

TEST(zero_is_seen_and_the_unknown_is_not)
{
    begin(false);
    history_add(&history, 0);
    history_add(&history, 0);
    history_add(&history, UINT64_MAX);
    history_add(&history, UINT64_MAX);
    history_add(&history, 0);
    history_add(&history, UINT64_MAX);
    draw(4, 1);
    CHECK_STR_EQ(row(0), "  ⣀ ⡀");
    screen_cells_fini(&cells);
}

TEST(a_higher_graph_tells_more)
{
    begin(false);
    history_add(&history, 100000);
    history_add(&history, 50000);
    draw(1, 2);
    CHECK_STR_EQ(row(0), " ⡇");
    CHECK_STR_EQ(row(1), " ⣿");
    screen_cells_fini(&cells);
    begin(true);
    history_add(&history, 75000);
    draw(1, 2);
    CHECK_STR_EQ(row(0), " =");
    CHECK_STR_EQ(row(1), " #");
    screen_cells_fini(&cells);
}

TEST(more_than_all_is_all)
{
    begin(true);
    history_add(&history, 4000000);
    draw(1, 1);
    CHECK_STR_EQ(row(0), " #");
    screen_cells_fini(&cells);
}

TEST(a_bar_is_a_part_of_a_whole)
{
    CHECK_STR_EQ(bar(true, 50, 100), "[####----]");
    CHECK_STR_EQ(bar(true, 100, 100), "[########]");
    CHECK_STR_EQ(bar(true, 0, 100), "[--------]");
    CHECK_STR_EQ(bar(true, 1, 1000000), "[#-------]"); /* little is not nothing */
    CHECK_STR_EQ(bar(true, 500, 100), "[########]");
    CHECK_STR_EQ(bar(true, UINT64_MAX - 1, 1), "[########]");
    CHECK_STR_EQ(bar(false, 50, 100), "[████    ]");
    CHECK_STR_EQ(bar(false, 45, 100), "[███▋    ]");
}

TEST(a_bar_of_what_is_not_known_is_blank)
{
    CHECK_STR_EQ(bar(true, UINT64_MAX, 100), "[        ]");
    CHECK_STR_EQ(bar(true, 1, UINT64_MAX), "[        ]");
    CHECK_STR_EQ(bar(true, 1, 0), "[        ]");
}
