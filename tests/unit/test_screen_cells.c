#include "tests/harness.h"

#include "cli/screen_cells.h"

#include <string.h>

static struct screen_cells cells;
static char text[512];

static void begin(int width, int height, bool is_ascii)
{
    struct err err;

    CHECK_OK(screen_cells_init(&cells, width, height, is_ascii, &err), &err);
}

static const char *row(int number)
{
    screen_cells_row(&cells, number, text, sizeof(text));
    return text;
}

TEST(text_ends_at_the_edge)
{
    struct screen_pen pen;

    begin(5, 2, false);
    pen = screen_cells_pen(&cells, 0, 2);
    screen_cells_put(&pen, "hello");
    CHECK_STR_EQ(row(0), "  hel");
    CHECK_STR_EQ(row(1), "");
    screen_cells_put(&pen, "more");
    CHECK_STR_EQ(row(0), "  hel");
    screen_cells_fini(&cells);
}

TEST(wide_characters_take_two_columns_or_none)
{
    struct screen_pen pen;

    begin(4, 1, false);
    pen = screen_cells_pen(&cells, 0, 1);
    screen_cells_put(&pen, "訓練");
    CHECK_STR_EQ(row(0), " 訓");
    CHECK_EQ(screen_cells_at(&cells, 0, 1)->code_point, 0x8a13);
    CHECK_EQ(screen_cells_at(&cells, 0, 2)->code_point, 0);
    CHECK_EQ(screen_cells_at(&cells, 0, 3)->code_point, ' ');
    screen_cells_fini(&cells);
}

TEST(in_ascii_others_are_questions_of_one_column)
{
    struct screen_pen pen;

    begin(8, 1, true);
    pen = screen_cells_pen(&cells, 0, 0);
    screen_cells_put(&pen, "a訓ü");
    CHECK_STR_EQ(row(0), "a??");
    screen_cells_fini(&cells);
}

TEST(fields_have_their_width)
{
    struct screen_pen pen;

    begin(20, 4, false);
    pen = screen_cells_pen(&cells, 0, 0);
    screen_cells_put_field(&pen, "ab", 5, true);
    screen_cells_put_field(&pen, "cd", 5, false);
    screen_cells_put_field(&pen, "abcdef", 5, true);
    CHECK_STR_EQ(row(0), "ab      cdabcd~");
    CHECK_EQ(pen.column, 15);
    pen = screen_cells_pen(&cells, 1, 0);
    screen_cells_put_field(&pen, "訓練x", 4, true); /* half a character would be left */
    screen_cells_put(&pen, "|");
    CHECK_STR_EQ(row(1), "訓 ~|");
    pen = screen_cells_pen(&cells, 2, 17);
    screen_cells_put_field(&pen, "abcdef", 5, true);
    CHECK_STR_EQ(row(2), "                 ab~");
    pen = screen_cells_pen(&cells, 3, 20);
    screen_cells_put_field(&pen, "abcdef", 5, false);
    CHECK_STR_EQ(row(3), "");
    screen_cells_fini(&cells);
}

TEST(what_is_beyond_the_grid_goes_nowhere)
{
    struct screen_pen pen;

    begin(3, 1, false);
    pen = screen_cells_pen(&cells, 1, 0);
    screen_cells_put(&pen, "abc");
    pen = screen_cells_pen(&cells, -1, 0);
    screen_cells_put(&pen, "abc");
    pen = screen_cells_pen(&cells, 0, -2);
    screen_cells_put(&pen, "abc");
    CHECK_STR_EQ(row(0), "c");
    screen_cells_fini(&cells);
}

TEST(sizes_of_any_terminal_are_brought_into_bounds)
{
    begin(0, -7, false);
    CHECK_EQ(cells.width, 1);
    CHECK_EQ(cells.height, 1);
    screen_cells_fini(&cells);
    begin(100000, 2, false);
    CHECK_EQ(cells.width, SCREEN_SIDE_MAX);
    screen_cells_fini(&cells);
}

TEST(a_row_s_text_is_cut_between_characters)
{
    struct screen_pen pen;
    char small[5];

    begin(8, 1, false);
    pen = screen_cells_pen(&cells, 0, 0);
    screen_cells_put(&pen, "訓練");
    screen_cells_row(&cells, 0, small, sizeof(small));
    CHECK_STR_EQ(small, "訓");
    screen_cells_fini(&cells);
}

TEST(attributes_are_the_pen_s)
{
    struct screen_pen pen;

    begin(8, 1, false);
    pen = screen_cells_pen(&cells, 0, 0);
    pen.attributes = SCREEN_BOLD;
    screen_cells_format(&pen, "%d", 42);
    pen.attributes = 0;
    screen_cells_put(&pen, "x");
    CHECK_EQ(screen_cells_at(&cells, 0, 1)->attributes, SCREEN_BOLD);
    CHECK_EQ(screen_cells_at(&cells, 0, 2)->attributes, 0);
    screen_cells_fini(&cells);
}
