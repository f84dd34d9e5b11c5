#pragma once
/*
 * screen_detail - what `vgpu top` tells of the tenant chosen: how it runs on each of its GPUs, how
 * its use went, and its processes.
 */
#include "cli/screen_graph.h"

struct screen_cells;
struct top_tenant;

/* NULL: nothing is chosen, and the box stays blank below its line. */
void screen_detail_draw(struct screen_cells *cells, const struct screen_box *box,
                        const struct top_tenant *tenant);
