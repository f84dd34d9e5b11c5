#pragma once
/*
 * screen_graph - bars and histories, drawn into cells: with braille and blocks, or in ASCII.
 */
#include <stdint.h>

struct history;
struct screen_cells;
struct screen_pen;

/* A place for a graph. */
struct screen_box {
    int row, column, width, height;
};

/*
 * The newest samples, the newest at the right edge, from 0 to 100 %. What is 0 has a dot at the
 * bottom, what is not known has none.
 */
void screen_graph_history(struct screen_cells *cells, const struct screen_box *box,
                          const struct history *history, uint32_t attributes);

/*
 * `[####----]` of so many columns (at least 3): a part of a whole. All blank between the brackets
 * where one of them is not known (UINT64_MAX) or the whole is 0.
 */
void screen_graph_bar(struct screen_pen *pen, int width, uint64_t part, uint64_t whole);
