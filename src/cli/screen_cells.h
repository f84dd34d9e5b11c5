#pragma once
/*
 * screen_cells - a grid of characters with attributes: what is to be seen on a terminal, before
 * anything of a terminal is involved.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCREEN_SIDE_MAX 1000 /* columns and rows; a larger terminal stays blank beyond */

/* Never the only bearer of a meaning. */
enum screen_attribute {
    SCREEN_BOLD = 1,
    SCREEN_DIM = 2,
    SCREEN_REVERSE = 4,
    SCREEN_UNDERLINE = 8,
    SCREEN_GOOD = 16, /* colours: at most one of them */
    SCREEN_WARNING = 32,
    SCREEN_BAD = 64,
    SCREEN_ACCENT = 128,
};

struct screen_cell {
    uint32_t code_point; /* 0: the right half of the wide character before it */
    uint32_t attributes; /* of enum screen_attribute */
};

struct screen_cells {
    int width, height;         /* both at least 1 */
    bool is_ascii;             /* other characters become '?' */
    struct screen_cell *cells; /* owned; row by row */
};

/* Where and how text is put: from `column` up to but not including `end`, which moves on. */
struct screen_pen {
    struct screen_cells *cells;
    int row, column, end;
    uint32_t attributes;
};

/* All blank. Sizes beyond 1..SCREEN_SIDE_MAX are brought into it. */
int screen_cells_init(struct screen_cells *cells, int width, int height, bool is_ascii,
                      struct err *err) MUST_CHECK;
void screen_cells_fini(struct screen_cells *cells);

/* The cell at a place on the grid, for reading. */
const struct screen_cell *screen_cells_at(const struct screen_cells *cells, int row, int column);

/* A pen for a row, from a column on. A row beyond the grid takes what is put, to no effect. */
struct screen_pen screen_cells_pen(struct screen_cells *cells, int row, int column);

/* Text of anybody's making (cli/plain_text.h); what does not fit is cut off. */
void screen_cells_put(struct screen_pen *pen, const char *text);
void screen_cells_format(struct screen_pen *pen, const char *format, ...) PRINTF_LIKE(2, 3);
/* One character of ours, which is one column wide and known to be shown. */
void screen_cells_put_code(struct screen_pen *pen, uint32_t code_point);
/* Exactly so many columns, on one side or the other; too long a text ends in '~'. */
void screen_cells_put_field(struct screen_pen *pen, const char *text, int width, bool is_left);
/* Blanks up to the column, with the pen's attributes. */
void screen_cells_fill_to(struct screen_pen *pen, int column);

/* The row as UTF-8 without the blanks at its end. */
void screen_cells_row(const struct screen_cells *cells, int row, char *ret_text, size_t size);
