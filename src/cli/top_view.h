#pragma once
/*
 * top_view - what a person looks at in `vgpu top`: which tenants in which order, which one is
 * chosen, and what is being typed. Keys change it by a pure function of view, model and key.
 *
 * States (top_view_press() makes all transitions):
 *
 *   LIST     keys move, sort, or begin one of the others
 *   FILTER   `/`: what is typed filters at once; Enter keeps it, Esc drops it
 *   PROMPT   m c w p: a new limit for the tenant chosen when it began; Enter sends it once it reads
 *            as one, Esc leaves
 *   CONFIRM  z: suspend or resume the tenant chosen when it began; y does it, other keys leave
 *   HELP     ?: every key leaves
 */
#include "cli/listing.h"
#include "ipc/message.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct top_model;
struct top_tenant;

enum top_sort { TOP_SORT_NAME, TOP_SORT_SHARE, TOP_SORT_MEMORY, TOP_SORT_CAP, TOP_SORT_END };
enum top_mode { TOP_LIST, TOP_FILTER, TOP_PROMPT, TOP_CONFIRM, TOP_HELP };

/* Keys are code points, and these. */
enum top_key {
    TOP_KEY_ESCAPE = 0x1b,
    TOP_KEY_ENTER = '\n',
    TOP_KEY_BACKSPACE = 0x7f,
    TOP_KEY_CLEAR = 0x15,  /* Ctrl-U */
    TOP_KEY_REDRAW = 0x0c, /* Ctrl-L */
    TOP_KEY_UP = 0x110000,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
};

#define TOP_INPUT_MAX 64

struct top_view {
    enum top_sort sort;
    bool is_reversed;
    char filter[TOP_INPUT_MAX];
    enum top_mode mode;
    enum message_set_field field;      /* of PROMPT and CONFIRM */
    char target[64];                   /* their tenant */
    char input[TOP_INPUT_MAX];         /* of PROMPT */
    bool is_suspending;                /* of CONFIRM: what is asked for, and not to resume */
    char message[256];                 /* what the person is to know; empty: nothing */
    bool is_error;                     /* the message tells of a failure */
    char selected[64];                 /* the tenant chosen; empty: none */
    size_t selected_at;                /* its place in the order */
    size_t page;                       /* tenants that PageUp and PageDown move by; at least 1 */
    size_t order[LISTING_TENANTS_MAX]; /* indices into the model's tenants, as shown */
    size_t order_count;
};

enum top_action_kind { TOP_NOTHING, TOP_QUIT, TOP_SEND, TOP_REPAINT };

struct top_action {
    enum top_action_kind kind;
    char tenant[64];        /* of SEND */
    struct message_set set; /* of SEND */
};

void top_view_init(struct top_view *view);

/* "name", "share", "memory", "cap"; -EINVAL with words. */
int top_view_read_sort(enum top_sort *ret_sort, const char *text, struct err *err) MUST_CHECK;
const char *top_view_sort_word(enum top_sort sort);

/* Orders and filters the tenants anew; to be called after each change of the model. */
void top_view_arrange(struct top_view *view, const struct top_model *model);

/* The tenant chosen, NULL where there is none. Borrowed from the model. */
const struct top_tenant *top_view_selected(const struct top_view *view,
                                           const struct top_model *model);

struct top_action top_view_press(struct top_view *view, const struct top_model *model,
                                 uint32_t key);

void top_view_say(struct top_view *view, bool is_error, const char *format, ...) PRINTF_LIKE(3, 4);
