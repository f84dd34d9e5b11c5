#pragma once
/*
 * screen_table - the tenants of `vgpu top` as lines of a table, one for each GPU of a tenant. The
 * columns are as many as the width has room for, the most important ones first.
 */
#include "cli/screen_graph.h"

#include <stdbool.h>
#include <stddef.h>

struct screen_cells;
struct top_model;
struct top_tenant;
struct top_view;

/* Lines that a tenant takes, and all tenants that are shown. */
size_t screen_table_lines_of(const struct top_tenant *tenant);
size_t screen_table_lines(const struct top_model *model, const struct top_view *view);

/*
 * Draws heading and lines into the box; of more lines than there is room for, those around the
 * tenant chosen, which is marked unless `is_plain`.
 */
void screen_table_draw(struct screen_cells *cells, const struct screen_box *box,
                       const struct top_model *model, const struct top_view *view, bool is_plain);
