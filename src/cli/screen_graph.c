#include "cli/screen_graph.h"

#include "cli/history.h"
#include "cli/screen_cells.h"

#define WHOLE        100000u /* milli-percent */
#define BRAILLE      0x2800u
#define FULL_BLOCK   0x2588u /* those of seven eighths to one follow it */
#define DOTS_A_CELL  4
#define EIGHTHS      8
#define ASCII_LEVELS 8

/* How many of `levels` steps a sample reaches, at least one where it is known; 0: not known. */
static uint32_t level(uint32_t milli_percent, uint32_t levels)
{
    uint32_t reached;

    if (milli_percent == HISTORY_UNKNOWN)
        return 0;
    if (milli_percent > WHOLE)
        milli_percent = WHOLE;
    reached = (uint32_t)(((uint64_t)milli_percent * levels + WHOLE / 2) / WHOLE);
    return reached ? reached : 1;
}

/* The dots of one of a cell's two columns that are on, from the bottom. */
static uint32_t dots(uint32_t reached, uint32_t below, int side)
{
    static const uint32_t bits[2][DOTS_A_CELL] = {{0x40, 0x04, 0x02, 0x01},
                                                  {0x80, 0x20, 0x10, 0x08}};
    uint32_t on = 0;

    for (uint32_t i = 0; i < DOTS_A_CELL && below + i < reached; i++)
        on |= bits[side][i];
    return on;
}

/* Cell `x` from the right, `y` from the bottom. */
static uint32_t braille(const struct history *history, const struct screen_box *box, int x, int y)
{
    uint32_t levels = (uint32_t)box->height * DOTS_A_CELL, below = (uint32_t)y * DOTS_A_CELL;
    size_t age = (size_t)x * 2;
    uint32_t on = dots(level(history_get(history, age), levels), below, 1) |
                  dots(level(history_get(history, age + 1), levels), below, 0);

    return on ? BRAILLE + on : ' ';
}

static uint32_t ascii(const struct history *history, const struct screen_box *box, int x, int y)
{
    static const char steps[ASCII_LEVELS + 1] = " .:-=+*%#";
    uint32_t below = (uint32_t)y * ASCII_LEVELS;
    uint32_t reached = level(history_get(history, (size_t)x), (uint32_t)box->height * ASCII_LEVELS);

    if (reached <= below)
        return ' ';
    return (uint32_t)steps[reached - below < ASCII_LEVELS ? reached - below : ASCII_LEVELS];
}

void screen_graph_history(struct screen_cells *cells, const struct screen_box *box,
                          const struct history *history, uint32_t attributes)
{
    for (int y = 0; y < box->height; y++) {
        struct screen_pen pen =
            screen_cells_pen(cells, box->row + box->height - 1 - y, box->column);

        pen.attributes = attributes;
        for (int x = box->width - 1; x >= 0; x--)
            screen_cells_put_code(&pen, cells->is_ascii ? ascii(history, box, x, y)
                                                        : braille(history, box, x, y));
    }
}

void screen_graph_bar(struct screen_pen *pen, int width, uint64_t part, uint64_t whole)
{
    bool is_known = part != UINT64_MAX && whole != UINT64_MAX && whole;
    double ratio = is_known ? (double)part / (double)whole : 0;
    int inner = width - 2;
    int eighths = (int)((ratio < 1 ? ratio : 1) * inner * EIGHTHS + 0.5);

    /* Little is not nothing. */
    if (is_known && part && !eighths)
        eighths = 1;
    screen_cells_put_code(pen, '[');
    for (int i = 0; i < inner; i++, eighths -= EIGHTHS) {
        uint32_t rest = eighths > EIGHTHS ? EIGHTHS : eighths < 0 ? 0 : (uint32_t)eighths;

        if (!is_known || !rest)
            screen_cells_put_code(pen, is_known && pen->cells->is_ascii ? '-' : ' ');
        else if (pen->cells->is_ascii)
            screen_cells_put_code(pen, '#');
        else
            screen_cells_put_code(pen, FULL_BLOCK + EIGHTHS - rest);
    }
    screen_cells_put_code(pen, ']');
}
