#include "cli/screen_cells.h"

#include "cli/plain_text.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FORMATTED_MAX 512

static int clamp_side(int side)
{
    return side < 1 ? 1 : side > SCREEN_SIDE_MAX ? SCREEN_SIDE_MAX : side;
}

int screen_cells_init(struct screen_cells *cells, int width, int height, bool is_ascii,
                      struct err *err)
{
    struct screen_cells made = {
        .width = clamp_side(width), .height = clamp_side(height), .is_ascii = is_ascii};
    size_t count = (size_t)made.width * (size_t)made.height;

    made.cells = calloc(count, sizeof(*made.cells));
    if (!made.cells)
        return err_set(err, ENOMEM, "draw a screen of %d columns and %d rows", made.width,
                       made.height);
    for (size_t i = 0; i < count; i++)
        made.cells[i].code_point = ' ';
    *cells = made;
    return 0;
}

void screen_cells_fini(struct screen_cells *cells)
{
    free(cells->cells);
    cells->cells = NULL;
}

const struct screen_cell *screen_cells_at(const struct screen_cells *cells, int row, int column)
{
    return &cells->cells[row * cells->width + column];
}

struct screen_pen screen_cells_pen(struct screen_cells *cells, int row, int column)
{
    return (struct screen_pen){.cells = cells, .row = row, .column = column, .end = cells->width};
}

/* A character that does not fit whole ends the text: the pen goes to its end. */
static void put_character(struct screen_pen *pen, uint32_t code_point, int width)
{
    struct screen_cells *cells = pen->cells;
    struct screen_cell *cell;

    if (pen->column + width > pen->end) {
        pen->column = pen->end;
        return;
    }
    if (pen->row >= 0 && pen->row < cells->height && pen->column >= 0) {
        cell = &cells->cells[pen->row * cells->width + pen->column];
        cell[0] = (struct screen_cell){.code_point = code_point, .attributes = pen->attributes};
        if (width == 2)
            cell[1] = (struct screen_cell){.code_point = 0, .attributes = pen->attributes};
    }
    pen->column += width;
}

void screen_cells_put_code(struct screen_pen *pen, uint32_t code_point)
{
    put_character(pen, code_point, 1);
}

void screen_cells_put(struct screen_pen *pen, const char *text)
{
    uint32_t code_point;
    int width;

    while (pen->column < pen->end && (code_point = plain_text_next(&text, &width)) != 0) {
        if (pen->cells->is_ascii && code_point > '~')
            put_character(pen, '?', 1);
        else
            put_character(pen, code_point, width);
    }
}

void screen_cells_format(struct screen_pen *pen, const char *format, ...)
{
    char text[FORMATTED_MAX];
    struct str str;
    va_list args;

    str_init(&str, text, sizeof(text));
    va_start(args, format);
    str_add_list(&str, format, args);
    va_end(args);
    screen_cells_put(pen, text);
}

static int text_width(const struct screen_cells *cells, const char *text)
{
    int sum = 0, width;
    uint32_t code_point;

    while ((code_point = plain_text_next(&text, &width)) != 0)
        sum += cells->is_ascii && code_point > '~' ? 1 : width;
    return sum;
}

void screen_cells_put_field(struct screen_pen *pen, const char *text, int width, bool is_left)
{
    int wanted = text_width(pen->cells, text), begin = pen->column, end = pen->end;
    bool is_cut = wanted > width;

    if (begin + width > end)
        width = end - begin;
    if (!is_left && wanted < width)
        screen_cells_fill_to(pen, begin + width - wanted);
    pen->end = begin + width - is_cut;
    screen_cells_put(pen, text);
    pen->end = end;
    screen_cells_fill_to(pen, begin + width - is_cut);
    if (is_cut)
        put_character(pen, '~', 1);
}

void screen_cells_fill_to(struct screen_pen *pen, int column)
{
    while (pen->column < column && pen->column < pen->end)
        put_character(pen, ' ', 1);
}

void screen_cells_row(const struct screen_cells *cells, int row, char *ret_text, size_t size)
{
    size_t length = 0, end = 0;

    for (int column = 0; column < cells->width; column++) {
        uint32_t code_point = screen_cells_at(cells, row, column)->code_point;
        char bytes[PLAIN_TEXT_BYTES_MAX];
        size_t more = code_point ? plain_text_encode(code_point, bytes) : 0;

        if (length + more >= size)
            break;
        memcpy(ret_text + length, bytes, more);
        length += more;
        if (code_point != ' ')
            end = length;
    }
    ret_text[end] = '\0';
}
