#include "cli/screen_layout.h"

#include "cli/screen_detail.h"
#include "cli/screen_graph.h"
#include "cli/screen_table.h"
#include "cli/screen_words.h"
#include "cli/top_model.h"
#include "cli/top_view.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <string.h>

#define CURSOR_CODE '_'
#define BAR_WIDTH   12
#define WIDE        96  /* columns from which on a GPU's line has its limits */
#define WIDER       112 /* and how busy the card is */
#define NARROW      76  /* below: a GPU's line has no bar */
#define WIDE_GRAPH  8   /* columns of graph that are worth it */

#define DETAIL_MIN 4 /* rows: fewer tell nothing */
#define DETAIL_MAX 12

/* Rows of each part, from the top. */
struct parts {
    int gpus, table, detail;
};

static struct parts split(const struct top_model *model, int height)
{
    int left = height - 2; /* title and footer */
    int gpu_rows = model->gpu_count ? (int)model->gpu_count : 1;
    struct parts parts = {.gpus = gpu_rows < left / 4 ? gpu_rows : left / 4};

    if (parts.gpus < 1 && left > 2)
        parts.gpus = 1;
    left -= parts.gpus;
    parts.detail = left / 3 > DETAIL_MIN ? left / 3 : DETAIL_MIN;
    if (parts.detail > DETAIL_MAX)
        parts.detail = DETAIL_MAX;
    if (left < 2 * DETAIL_MIN)
        parts.detail = 0;
    parts.table = left - parts.detail;
    return parts;
}

int screen_layout_page(const struct top_model *model, int height)
{
    int rows = split(model, height).table - 1;

    return rows > 1 ? rows : 1;
}

int screen_layout_plain_height(const struct top_model *model, const struct top_view *view)
{
    size_t lines = screen_table_lines(model, view);

    return 1 + (model->gpu_count ? (int)model->gpu_count : 1) + 1 + (int)(lines ? lines : 1);
}

/* --- title and GPUs --- */

static void draw_title(struct screen_cells *cells, const struct top_model *model,
                       const struct top_view *view, const struct screen_options *options)
{
    struct screen_pen pen = screen_cells_pen(cells, 0, 0);
    size_t processes = 0;

    for (size_t i = 0; i < model->tenant_count; i++)
        processes += model->tenants[i]->process_count;
    pen.attributes = SCREEN_BOLD;
    screen_cells_put(&pen, "vgpu top ");
    pen.attributes = 0;
    screen_cells_format(&pen, " %s  %s%s", model->host, options->time,
                        options->time[0] ? "  " : "");
    screen_cells_format(&pen, "%zu tenant%s  %zu process%s", model->tenant_count,
                        model->tenant_count == 1 ? "" : "s", processes, processes == 1 ? "" : "es");
    if (!options->is_plain)
        screen_cells_format(&pen, "  by %s%s", top_view_sort_word(view->sort),
                            view->is_reversed ? " reversed" : "");
    if (view->filter[0]) {
        screen_cells_put(&pen, "  filter: ");
        pen.attributes = SCREEN_BOLD;
        screen_cells_format(&pen, "%s (%zu)", view->filter, view->order_count);
    }
    if (!options->is_plain && options->interval_ns != NS_PER_SEC) {
        pen.attributes = 0;
        screen_cells_format(&pen, "  every %.1f s",
                            (double)options->interval_ns / (double)NS_PER_SEC);
    }
}

static void draw_gpu_rest(struct screen_pen *pen, const struct top_gpu *gpu, bool is_plain)
{
    char limit[SCREEN_WORD_MAX], busy[SCREEN_WORD_MAX];
    struct screen_box graph;

    if (pen->cells->width < WIDE)
        return;
    screen_cells_format(pen, "  limits %7s", screen_words_size(limit, gpu->limit_bytes));
    if (pen->cells->width < WIDER)
        return;
    screen_cells_format(pen, "  card busy %6s",
                        screen_words_percent(busy, gpu->busy_percent == MESSAGE_UNKNOWN
                                                       ? MESSAGE_UNKNOWN
                                                       : gpu->busy_percent * 1000));
    graph = (struct screen_box){.row = pen->row,
                                .column = pen->column + 2,
                                .width = pen->end - pen->column - 2,
                                .height = 1};
    if (!is_plain && graph.width >= WIDE_GRAPH)
        screen_graph_history(pen->cells, &graph, &gpu->history, SCREEN_ACCENT);
}

/* Whose they are is known. */
static const char *short_model(const char *model)
{
    static const char maker[] = "NVIDIA ";

    if (!model[0])
        return "-";
    return str_starts_with(model, maker) ? model + sizeof(maker) - 1 : model;
}

static void draw_gpu(struct screen_cells *cells, int row, const struct top_gpu *gpu, bool is_plain)
{
    struct screen_pen pen = screen_cells_pen(cells, row, 0);
    char used[SCREEN_WORD_MAX], memory[SCREEN_WORD_MAX], card[SCREEN_WORD_MAX];
    char caps[SCREEN_WORD_MAX];
    bool is_narrow = cells->width < NARROW;

    screen_cells_format(&pen, "GPU %-2u ", gpu->nvml_index);
    screen_cells_put_field(&pen, short_model(gpu->model), is_narrow ? 10 : 21, true);
    screen_cells_format(&pen, " %6s", screen_words_percent(used, gpu->used_milli_percent));
    screen_cells_put(&pen, "  ");
    if (!is_narrow)
        screen_graph_bar(&pen, BAR_WIDTH, gpu->used_bytes, gpu->card_bytes);
    screen_cells_format(&pen, "%7s/%s", screen_words_size(memory, gpu->used_bytes),
                        screen_words_size(card, gpu->card_bytes));
    screen_cells_format(&pen, "  caps %s", screen_words_percent(caps, gpu->cap_milli_percent));
    draw_gpu_rest(&pen, gpu, is_plain);
}

static void draw_gpus(struct screen_cells *cells, const struct top_model *model, int rows,
                      bool is_plain)
{
    size_t shown = model->gpu_count;
    struct screen_pen pen = screen_cells_pen(cells, rows, 0);

    if (rows < 1)
        return;
    if (shown > (size_t)rows)
        shown = (size_t)rows - 1;
    for (size_t i = 0; i < shown; i++)
        draw_gpu(cells, 1 + (int)i, &model->gpus[i], is_plain);
    if (shown < model->gpu_count)
        screen_cells_format(&pen, "and %zu more GPUs", model->gpu_count - shown);
    else if (!model->gpu_count && model->is_known)
        screen_cells_put(&pen, "GPU -  no GPU answers here");
}

/* --- footer --- */

static void draw_prompt(struct screen_pen *pen, const struct top_view *view)
{
    const char *what = view->field == MESSAGE_SET_MEMORY    ? "memory limit (8GiB, 40%, none)"
                       : view->field == MESSAGE_SET_COMPUTE ? "cap on GPU time (30%, none)"
                       : view->field == MESSAGE_SET_WEIGHT  ? "weight (1 to 1000)"
                                                            : "priority (high, normal, low)";

    pen->attributes = SCREEN_BOLD;
    screen_cells_format(pen, "%s: %s: ", view->target, what);
    pen->attributes = 0;
    screen_cells_format(pen, "%s%c", view->input, CURSOR_CODE);
}

static void draw_confirm(struct screen_pen *pen, const struct top_view *view)
{
    pen->attributes = SCREEN_BOLD;
    screen_cells_format(pen, "%s %s? ", view->is_suspending ? "suspend" : "resume", view->target);
    pen->attributes = 0;
    screen_cells_put(pen, view->is_suspending
                              ? "y: its GPU work stops until it is resumed   others: no"
                              : "y: its GPU work goes on   other keys: no");
}

static void draw_keys(struct screen_pen *pen)
{
    static const char *const keys[][2] = {
        {"?", "help"}, {"q", "quit"},   {"/", "filter"},   {"N S M C", "sort"},     {"m", "memory"},
        {"c", "cap"},  {"w", "weight"}, {"p", "priority"}, {"z", "suspend/resume"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        /* Half a word would look like another key. */
        if (pen->column + (int)(strlen(keys[i][0]) + strlen(keys[i][1])) + 1 > pen->end)
            return;
        pen->attributes = SCREEN_BOLD;
        screen_cells_format(pen, "%s", keys[i][0]);
        pen->attributes = SCREEN_DIM;
        screen_cells_format(pen, " %s  ", keys[i][1]);
    }
}

static void draw_footer(struct screen_cells *cells, const struct top_model *model,
                        const struct top_view *view)
{
    struct screen_pen pen = screen_cells_pen(cells, cells->height - 1, 0);

    if (view->mode == TOP_PROMPT)
        draw_prompt(&pen, view);
    else if (view->mode == TOP_CONFIRM)
        draw_confirm(&pen, view);
    else if (view->mode == TOP_FILTER)
        screen_cells_format(&pen, "filter (Enter keeps it, Esc drops it): %s%c", view->filter,
                            CURSOR_CODE);
    else
        draw_keys(&pen);
}

/* Above the footer, over whatever is there: it is seen whatever is typed. */
static void draw_message(struct screen_cells *cells, const struct top_view *view)
{
    struct screen_pen pen = screen_cells_pen(cells, cells->height - 2, 0);

    if (!view->message[0] || cells->height < 3)
        return;
    pen.attributes = SCREEN_REVERSE | (view->is_error ? SCREEN_BAD : SCREEN_GOOD);
    screen_cells_put(&pen, view->is_error ? " failed: " : " ");
    screen_cells_put(&pen, view->message);
    screen_cells_fill_to(&pen, pen.end);
}

static void draw_help(struct screen_cells *cells)
{
    static const char *const lines[] = {
        "vgpu top: the tenants of these GPUs and what they use",
        "",
        "  up down j k     choose a tenant   PgUp PgDn g G   far",
        "  N S M C         sort: name, share, memory, cap",
        "  r               the other way round",
        "  /               show what matches: name, state, command",
        "  m c w p         change memory, cap, weight, priority",
        "  z               suspend or resume it",
        "  Esc             leave a prompt, drop the filter",
        "  Ctrl-L          draw anew        q   quit",
        "",
        "  USED is GPU time of the last second, CAP its limit,",
        "  ENTIT. what it gets when all want the GPU; - is unknown",
        "  (of CAP and LIMIT: none).      Any key leaves this page",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct screen_pen pen = screen_cells_pen(cells, (int)i, 0);

        pen.attributes = i ? 0 : SCREEN_BOLD;
        screen_cells_put(&pen, lines[i]);
    }
}

void screen_layout_draw(struct screen_cells *cells, const struct top_model *model,
                        const struct top_view *view, const struct screen_options *options)
{
    struct parts parts = split(model, cells->height);
    struct screen_box box = {.width = cells->width};

    if (view->mode == TOP_HELP && !options->is_plain) {
        draw_help(cells);
        return;
    }
    if (options->is_plain)
        parts = (struct parts){.gpus = model->gpu_count ? (int)model->gpu_count : 1,
                               .table = cells->height};
    draw_title(cells, model, view, options);
    draw_gpus(cells, model, parts.gpus, options->is_plain);
    box.row = 1 + parts.gpus;
    box.height = parts.table;
    screen_table_draw(cells, &box, model, view, options->is_plain);
    if (options->is_plain)
        return;
    box.row += parts.table;
    box.height = parts.detail;
    screen_detail_draw(cells, &box, top_view_selected(view, model));
    draw_message(cells, view);
    draw_footer(cells, model, view);
}
