#include "cli/screen_detail.h"

#include "cli/listing.h"
#include "cli/screen_cells.h"
#include "cli/screen_words.h"
#include "cli/top_model.h"
#include "utils/str.h"

#define LINE_CODE       0x2500u
#define SHARE_WIDTH     49 /* of a share's words */
#define TALL            7  /* rows of a box from which on a graph has two */
#define GRAPH_WIDTH_MIN 6

static struct screen_pen pen_at(struct screen_cells *cells, const struct screen_box *box, int line)
{
    struct screen_pen pen = screen_cells_pen(cells, box->row + line, box->column);

    pen.end = box->column + box->width;
    return pen;
}

static void draw_title(struct screen_cells *cells, const struct screen_box *box,
                       const struct top_tenant *tenant)
{
    struct screen_pen pen = pen_at(cells, box, 0);
    uint32_t line = cells->is_ascii ? '-' : LINE_CODE;

    pen.attributes = SCREEN_BOLD;
    screen_cells_put_code(&pen, line);
    if (tenant) {
        screen_cells_format(&pen, " %s: %s", tenant->name, top_model_state_word(tenant->state));
        if (tenant->supervisor_pid)
            screen_cells_format(&pen, ", supervisor %d", tenant->supervisor_pid);
        if (tenant->share_count)
            screen_cells_format(&pen, ", priority %s, weight %u",
                                region_priority_word(tenant->shares[0].status.priority),
                                tenant->shares[0].status.weight);
        if (tenant->share_count && tenant->engine != REGION_ENGINE_RM)
            screen_cells_put(&pen, ", memory limit only (see vgpu doctor)");
        screen_cells_put(&pen, " ");
    }
    while (pen.column < pen.end)
        screen_cells_put_code(&pen, line);
}

/* Returns the lines taken. */
static int draw_share(struct screen_cells *cells, const struct screen_box *box, int at,
                      const struct top_share *share)
{
    const struct message_status_gpu *gpu = &share->status;
    char used[SCREEN_WORD_MAX], cap[SCREEN_WORD_MAX], slice[SCREEN_WORD_MAX];
    char duty[SCREEN_WORD_MAX], entitled[SCREEN_WORD_MAX];
    struct screen_pen pen = pen_at(cells, box, at);
    int left = box->column + (box->width < SHARE_WIDTH + GRAPH_WIDTH_MIN + 2
                                  ? box->width - GRAPH_WIDTH_MIN - 2
                                  : SHARE_WIDTH);
    struct screen_box graph = {.row = box->row + at,
                               .column = left + 1,
                               .width = box->column + box->width - left - 2,
                               .height = box->height >= TALL ? 2 : 1};

    (void)screen_words_percent(used, gpu->used_milli_percent);
    pen.end = left;
    screen_cells_format(&pen, "  GPU %u  slice %s  duty %s  entitled %s", gpu->nvml_index,
                        screen_words_us(slice, gpu->slice_us),
                        screen_words_percent(duty, gpu->duty_milli_percent),
                        screen_words_percent(entitled, gpu->entitled_milli_percent));
    if (graph.height > 1) {
        pen = pen_at(cells, box, at + 1);
        pen.end = left;
        screen_cells_format(&pen, "         used %s of cap %s", used,
                            screen_words_cap(cap, gpu->cap_milli_percent));
    }
    screen_graph_history(cells, &graph, &share->history, SCREEN_ACCENT);
    pen = pen_at(cells, box, at);
    pen.column = graph.column - 1;
    screen_cells_put_code(&pen, '|');
    if (graph.height > 1) {
        pen = pen_at(cells, box, at + 1);
        pen.column = graph.column - 1;
        screen_cells_put_code(&pen, '|');
    }
    return graph.height;
}

static void draw_processes(struct screen_cells *cells, const struct screen_box *box, int at,
                           const struct top_tenant *tenant)
{
    int room = box->height - at - 1;
    size_t shown = tenant->process_count;
    struct screen_pen pen = pen_at(cells, box, at);

    if (room < 0)
        return;
    pen.attributes = SCREEN_DIM;
    screen_cells_format(&pen, "  %8s  %7s  %s", "PID", "MEMORY", "COMMAND");
    if (shown > (size_t)room)
        shown = room ? (size_t)room - 1 : 0;
    for (size_t i = 0; i < shown; i++) {
        const struct message_status_process *process = &tenant->processes[i];
        char size[SCREEN_WORD_MAX];

        pen = pen_at(cells, box, at + 1 + (int)i);
        screen_cells_format(&pen, "  %8d  %7s  ", process->pid,
                            screen_words_size(size, listing_process_bytes(process)));
        screen_cells_put(&pen, process->comm);
    }
    if (shown < tenant->process_count && room) {
        pen = pen_at(cells, box, at + 1 + (int)shown);
        screen_cells_format(&pen, "  and %zu more", tenant->process_count - shown);
    }
}

void screen_detail_draw(struct screen_cells *cells, const struct screen_box *box,
                        const struct top_tenant *tenant)
{
    int at = 1;

    if (box->height < 1)
        return;
    draw_title(cells, box, tenant);
    if (!tenant)
        return;
    /* Two lines stay for the processes, where there is room for any. */
    for (size_t i = 0; i < tenant->share_count && at + 2 < box->height; i++)
        at += draw_share(cells, box, at, &tenant->shares[i]);
    if (tenant->is_process_count_known && tenant->process_count)
        draw_processes(cells, box, at, tenant);
    else if (at < box->height) {
        struct screen_pen pen = pen_at(cells, box, at);

        pen.attributes = SCREEN_DIM;
        screen_cells_put(&pen, tenant->is_process_count_known ? "  no process uses the GPU"
                                                              : "  processes: -");
    }
}
