#pragma once
/*
 * screen_layout - the whole picture of `vgpu top` as a pure function of what is known, what is
 * looked at and how large the terminal is.
 */
#include "cli/screen_cells.h"

#include <stdbool.h>

struct top_model;
struct top_view;

struct screen_options {
    bool is_plain;    /* one frame for a pipe: header and table alone, nothing chosen */
    const char *time; /* of day, for the title; "" for none */
    uint64_t interval_ns;
};

/* Draws into the grid, which is blank. */
void screen_layout_draw(struct screen_cells *cells, const struct top_model *model,
                        const struct top_view *view, const struct screen_options *options);

/* Rows that a plain frame needs to hold everything. */
int screen_layout_plain_height(const struct top_model *model, const struct top_view *view);

/* Lines of tenants that a terminal of this height has room for, at least 1. */
int screen_layout_page(const struct top_model *model, int height);
