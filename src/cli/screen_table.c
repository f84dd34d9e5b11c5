#include "cli/screen_table.h"

#include "cli/listing.h"
#include "cli/screen_cells.h"
#include "cli/screen_words.h"
#include "cli/top_model.h"
#include "cli/top_view.h"
#include "utils/str.h"

#define MARKER_WIDTH   2
#define NAME_WIDTH_MAX 32
#define GRAPH_WIDTH    60 /* at most */

enum column {
    COLUMN_NAME,
    COLUMN_STATE,
    COLUMN_GPU,
    COLUMN_USED,
    COLUMN_CAP,
    COLUMN_ENTITLED,
    COLUMN_MEMORY,
    COLUMN_LIMIT,
    COLUMN_BAR,
    COLUMN_PRIORITY,
    COLUMN_WEIGHT,
    COLUMN_SLICE,
    COLUMN_DUTY,
    COLUMN_GRAPH,
    COLUMN_COUNT
};

static const struct {
    const char *heading;
    int width;      /* at least */
    int importance; /* those with less are left out first */
    bool is_left;
    enum top_sort sort; /* by it; TOP_SORT_END: by none */
} columns[COLUMN_COUNT] = {
    [COLUMN_NAME] = {"NAME", 12, 14, true, TOP_SORT_NAME},
    [COLUMN_STATE] = {"STATE", 9, 11, true, TOP_SORT_END},
    [COLUMN_GPU] = {"GPU", 3, 9, false, TOP_SORT_END},
    [COLUMN_USED] = {"USED", 6, 13, false, TOP_SORT_SHARE},
    [COLUMN_CAP] = {"CAP", 6, 10, false, TOP_SORT_CAP},
    [COLUMN_ENTITLED] = {"ENTIT.", 6, 7, false, TOP_SORT_END},
    [COLUMN_MEMORY] = {"MEM", 7, 12, false, TOP_SORT_MEMORY},
    [COLUMN_LIMIT] = {"LIMIT", 7, 8, false, TOP_SORT_END},
    [COLUMN_BAR] = {"MEM/LIMIT", 12, 3, true, TOP_SORT_END},
    [COLUMN_PRIORITY] = {"PRIO", 6, 6, true, TOP_SORT_END},
    [COLUMN_WEIGHT] = {"WGT", 4, 5, false, TOP_SORT_END},
    [COLUMN_SLICE] = {"SLICE", 7, 2, false, TOP_SORT_END},
    [COLUMN_DUTY] = {"DUTY", 6, 1, false, TOP_SORT_END},
    [COLUMN_GRAPH] = {"USED OVER TIME", 14, 4, true, TOP_SORT_END},
};

/* Widths, 0 for what is left out. */
struct plan {
    int widths[COLUMN_COUNT];
    bool is_plain;
};

static void grow(struct plan *plan, enum column column, int width_max, int *room)
{
    int more = width_max - plan->widths[column];

    if (!plan->widths[column] || more <= 0)
        return;
    more = more < *room ? more : *room;
    plan->widths[column] += more;
    *room -= more;
}

static struct plan make_plan(int width, bool is_plain)
{
    struct plan plan = {.is_plain = is_plain};
    int room = width - MARKER_WIDTH + 1;

    for (int importance = COLUMN_COUNT; importance > 0; importance--)
        for (int i = 0; i < COLUMN_COUNT; i++) {
            /* A plain frame has no past. */
            if (columns[i].importance != importance || (i == COLUMN_GRAPH && is_plain) ||
                columns[i].width + 1 > room)
                continue;
            plan.widths[i] = columns[i].width;
            room -= columns[i].width + 1;
        }
    grow(&plan, COLUMN_NAME, NAME_WIDTH_MAX, &room);
    grow(&plan, COLUMN_GRAPH, GRAPH_WIDTH, &room);
    return plan;
}

size_t screen_table_lines_of(const struct top_tenant *tenant)
{
    return tenant->share_count ? tenant->share_count : 1;
}

size_t screen_table_lines(const struct top_model *model, const struct top_view *view)
{
    size_t lines = 0;

    for (size_t i = 0; i < view->order_count; i++)
        lines += screen_table_lines_of(model->tenants[view->order[i]]);
    return lines;
}

/* --- heading --- */

static void draw_heading(struct screen_cells *cells, const struct screen_box *box,
                         const struct plan *plan, const struct top_view *view)
{
    struct screen_pen pen = screen_cells_pen(cells, box->row, box->column);

    pen.end = box->column + box->width;
    pen.attributes = SCREEN_BOLD | SCREEN_UNDERLINE;
    screen_cells_fill_to(&pen, pen.column + MARKER_WIDTH);
    for (int i = 0; i < COLUMN_COUNT; i++) {
        char heading[SCREEN_WORD_MAX];
        bool is_upward = (view->sort == TOP_SORT_NAME) != view->is_reversed;
        bool is_sorted = view->sort == columns[i].sort;

        if (!plan->widths[i])
            continue;
        (void)str_format(heading, sizeof(heading), "%s%s", columns[i].heading, /* fits */
                         !is_sorted  ? ""
                         : is_upward ? "^"
                                     : "v");
        screen_cells_put_field(&pen, heading, plan->widths[i], columns[i].is_left);
        screen_cells_fill_to(&pen, pen.column + 1);
    }
    screen_cells_fill_to(&pen, pen.end);
}

/* --- lines --- */

static uint32_t state_attribute(const struct top_tenant *tenant)
{
    switch (tenant->state) {
    case TOP_RUNNING:
        return SCREEN_GOOD;
    case TOP_SUSPENDED:
    case TOP_QUEUED:
        return SCREEN_WARNING;
    default:
        return SCREEN_BAD;
    }
}

/* A word of the tenant's, which only its first line has. */
static const char *tenant_word(const struct top_tenant *tenant, enum column column)
{
    return column == COLUMN_NAME ? tenant->name : top_model_state_word(tenant->state);
}

static const char *share_word(char word[SCREEN_WORD_MAX], const struct message_status_gpu *gpu,
                              enum column column)
{
    switch (column) {
    case COLUMN_GPU:
        (void)str_format(word, SCREEN_WORD_MAX, "%u", gpu->nvml_index); /* fits */
        return word;
    case COLUMN_USED:
        return screen_words_percent(word, gpu->used_milli_percent);
    case COLUMN_CAP:
        return screen_words_cap(word, gpu->cap_milli_percent);
    case COLUMN_ENTITLED:
        return screen_words_percent(word, gpu->entitled_milli_percent);
    case COLUMN_MEMORY:
        return screen_words_size(word, gpu->memory_used_bytes);
    case COLUMN_LIMIT:
        return screen_words_size(word, gpu->memory_limit_bytes);
    case COLUMN_PRIORITY:
        return region_priority_word(gpu->priority);
    case COLUMN_WEIGHT:
        (void)str_format(word, SCREEN_WORD_MAX, "%u", gpu->weight); /* fits */
        return word;
    case COLUMN_SLICE:
        return screen_words_us(word, gpu->slice_us);
    default:
        return screen_words_percent(word, gpu->duty_milli_percent);
    }
}

static void draw_share_cell(struct screen_pen *pen, const struct plan *plan,
                            const struct top_share *share, enum column column)
{
    char word[SCREEN_WORD_MAX];
    int width = plan->widths[column];

    if (!share) {
        screen_cells_put_field(pen, "-", width, columns[column].is_left);
    } else if (column == COLUMN_BAR) {
        const struct message_status_gpu *gpu = &share->status;

        /* Without a limit the card is it. */
        screen_graph_bar(pen, width, gpu->memory_used_bytes,
                         gpu->memory_limit_bytes != REGION_NO_LIMIT ? gpu->memory_limit_bytes
                                                                    : gpu->card_bytes);
    } else if (column == COLUMN_GRAPH) {
        struct screen_box box = {
            .row = pen->row, .column = pen->column, .width = width, .height = 1};

        screen_graph_history(pen->cells, &box, &share->history, pen->attributes);
        pen->column += width;
    } else {
        screen_cells_put_field(pen, share_word(word, &share->status, column), width,
                               columns[column].is_left);
    }
}

static void draw_line(struct screen_pen *pen, const struct plan *plan,
                      const struct top_tenant *tenant, size_t line)
{
    const struct top_share *share = line < tenant->share_count ? &tenant->shares[line] : NULL;
    uint32_t attributes = pen->attributes;

    for (int i = 0; i < COLUMN_COUNT; i++) {
        if (!plan->widths[i])
            continue;
        /* A colour on a reversed line is hard to read. */
        if (i == COLUMN_STATE && !(attributes & SCREEN_REVERSE))
            pen->attributes = attributes | state_attribute(tenant);
        if (i == COLUMN_NAME || i == COLUMN_STATE)
            screen_cells_put_field(pen, line ? "" : tenant_word(tenant, (enum column)i),
                                   plan->widths[i], true);
        else
            draw_share_cell(pen, plan, share, (enum column)i);
        pen->attributes = attributes;
        screen_cells_fill_to(pen, pen->column + 1);
    }
}

/* The line that the box begins with, so that the tenant chosen is in it. */
static size_t first_line(const struct top_model *model, const struct top_view *view, size_t room)
{
    size_t all = screen_table_lines(model, view), before = 0, half = room / 2;

    for (size_t i = 0; i < view->selected_at && i < view->order_count; i++)
        before += screen_table_lines_of(model->tenants[view->order[i]]);
    if (all <= room || before <= half)
        return 0;
    return before - half < all - room ? before - half : all - room;
}

static void draw_nothing(struct screen_cells *cells, const struct screen_box *box,
                         const struct top_model *model)
{
    struct screen_pen pen = screen_cells_pen(cells, box->row + 1, box->column + MARKER_WIDTH);

    if (box->height < 2)
        return;
    pen.attributes = SCREEN_DIM;
    if (!model->is_known)
        screen_cells_put(&pen, "asking the tenants ...");
    else if (model->tenant_count)
        screen_cells_put(&pen, "no tenant matches the filter (Esc drops it)");
    else
        screen_cells_put(&pen, "no tenant is running here (vgpu run starts one)");
}

void screen_table_draw(struct screen_cells *cells, const struct screen_box *box,
                       const struct top_model *model, const struct top_view *view, bool is_plain)
{
    struct plan plan = make_plan(box->width, is_plain);
    size_t room = box->height > 1 ? (size_t)box->height - 1 : 0;
    size_t skip = is_plain ? 0 : first_line(model, view, room), drawn = 0;

    if (box->height < 1)
        return;
    draw_heading(cells, box, &plan, view);
    if (!view->order_count)
        draw_nothing(cells, box, model);
    for (size_t i = 0; i < view->order_count; i++) {
        const struct top_tenant *tenant = model->tenants[view->order[i]];
        bool is_selected = !is_plain && i == view->selected_at;

        for (size_t line = 0; line < screen_table_lines_of(tenant); line++) {
            struct screen_pen pen = screen_cells_pen(cells, box->row + 1 + (int)drawn, box->column);

            if (skip) {
                skip--;
                continue;
            }
            if (drawn++ == room)
                return;
            pen.end = box->column + box->width;
            pen.attributes = is_selected ? SCREEN_REVERSE : 0;
            screen_cells_put(&pen, is_selected ? "> " : "  ");
            draw_line(&pen, &plan, tenant, line);
            screen_cells_fill_to(&pen, is_selected ? pen.end : pen.column);
        }
    }
}
