#include "cli/top_view.h"

#include "cli/limit_text.h"
#include "cli/top_model.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const sort_words[] = {[TOP_SORT_NAME] = "name",
                                         [TOP_SORT_SHARE] = "share",
                                         [TOP_SORT_MEMORY] = "memory",
                                         [TOP_SORT_CAP] = "cap"};

void top_view_init(struct top_view *view)
{
    *view = (struct top_view){.sort = TOP_SORT_SHARE, .page = 1};
}

int top_view_read_sort(enum top_sort *ret_sort, const char *text, struct err *err)
{
    for (unsigned int i = 0; i < TOP_SORT_END; i++)
        if (str_equals(text, sort_words[i])) {
            *ret_sort = (enum top_sort)i;
            return 0;
        }
    return err_say(err, EINVAL, "'%s' is none of name, share, memory, cap", text);
}

const char *top_view_sort_word(enum top_sort sort)
{
    return sort_words[sort];
}

void top_view_say(struct top_view *view, bool is_error, const char *format, ...)
{
    struct str str;
    va_list args;

    str_init(&str, view->message, sizeof(view->message));
    va_start(args, format);
    str_add_list(&str, format, args);
    va_end(args);
    view->is_error = is_error;
}

/* --- order --- */

static bool is_wanted(const struct top_view *view, const struct top_tenant *tenant)
{
    if (!view->filter[0] || strcasestr(tenant->name, view->filter) ||
        strcasestr(top_model_state_word(tenant->state), view->filter))
        return true;
    for (size_t i = 0; i < tenant->process_count; i++)
        if (strcasestr(tenant->processes[i].comm, view->filter))
            return true;
    return false;
}

static uint64_t sort_value(const struct top_tenant *tenant, enum top_sort sort)
{
    switch (sort) {
    case TOP_SORT_SHARE:
        return top_model_used_milli_percent(tenant);
    case TOP_SORT_MEMORY:
        return top_model_used_bytes(tenant);
    case TOP_SORT_CAP:
        return top_model_cap_milli_percent(tenant);
    default:
        return 0;
    }
}

struct ordering {
    const struct top_model *model;
    enum top_sort sort;
    bool is_reversed;
};

/* Largest first, names from A on; what is not known comes last, whichever way. Ties are by name. */
static int compare(const void *a, const void *b, void *context)
{
    const size_t *first = a, *second = b;
    const struct ordering *ordering = context;
    const struct top_tenant *one = ordering->model->tenants[*first],
                            *other = ordering->model->tenants[*second];
    uint64_t value = sort_value(one, ordering->sort), rival = sort_value(other, ordering->sort);
    int order = value > rival ? -1 : value < rival;

    if (value != rival && (value == MESSAGE_UNKNOWN || rival == MESSAGE_UNKNOWN))
        return value == MESSAGE_UNKNOWN ? 1 : -1;
    if (!order && ordering->sort != TOP_SORT_NAME)
        return strcmp(one->name, other->name);
    if (!order)
        order = strcmp(one->name, other->name);
    return ordering->is_reversed ? -order : order;
}

static void select_at(struct top_view *view, const struct top_model *model, size_t at)
{
    if (!view->order_count) {
        view->selected[0] = '\0';
        view->selected_at = 0;
        return;
    }
    view->selected_at = at < view->order_count ? at : view->order_count - 1;
    (void)str_format(view->selected, sizeof(view->selected), "%s",
                     model->tenants[view->order[view->selected_at]]->name); /* same size */
}

void top_view_arrange(struct top_view *view, const struct top_model *model)
{
    struct ordering ordering = {
        .model = model, .sort = view->sort, .is_reversed = view->is_reversed};

    view->order_count = 0;
    for (size_t i = 0; i < model->tenant_count && view->order_count < LISTING_TENANTS_MAX; i++)
        if (is_wanted(view, model->tenants[i]))
            view->order[view->order_count++] = i;
    qsort_r(view->order, view->order_count, sizeof(view->order[0]), compare, &ordering);
    for (size_t i = 0; i < view->order_count; i++)
        if (str_equals(model->tenants[view->order[i]]->name, view->selected)) {
            view->selected_at = i;
            return;
        }
    /* It is gone: whoever stands in its place now is chosen. */
    select_at(view, model, view->selected_at);
}

const struct top_tenant *top_view_selected(const struct top_view *view,
                                           const struct top_model *model)
{
    return view->order_count ? model->tenants[view->order[view->selected_at]] : NULL;
}

/* --- keys --- */

static bool type_into(char *input, size_t size, uint32_t key)
{
    size_t length = strlen(input);

    if (key == TOP_KEY_CLEAR)
        input[0] = '\0';
    else if ((key == TOP_KEY_BACKSPACE || key == '\b') && length)
        input[length - 1] = '\0';
    else if (key >= ' ' && key <= '~' && length + 1 < size) {
        input[length] = (char)key;
        input[length + 1] = '\0';
    } else
        return false;
    return true;
}

static void sort_by(struct top_view *view, const struct top_model *model, enum top_sort sort)
{
    /* The same once more turns it round. */
    view->is_reversed = view->sort == sort && !view->is_reversed;
    view->sort = sort;
    top_view_arrange(view, model);
}

/* Begins what is about the tenant chosen. */
static void begin(struct top_view *view, const struct top_model *model, enum top_mode mode,
                  enum message_set_field field)
{
    const struct top_tenant *tenant = top_view_selected(view, model);

    if (!tenant)
        return;
    if (!tenant->supervisor_pid) {
        top_view_say(view, true, "'%s' has no supervisor that answers: nothing can be changed",
                     tenant->name);
        return;
    }
    view->mode = mode;
    view->field = field;
    view->input[0] = '\0';
    view->is_suspending = tenant->state != TOP_SUSPENDED; /* and stays so, whatever it becomes */
    (void)str_format(view->target, sizeof(view->target), "%s", tenant->name); /* same size */
}

static void move(struct top_view *view, const struct top_model *model, uint32_t key)
{
    size_t at = view->selected_at, page = view->page ? view->page : 1;

    switch (key) {
    case TOP_KEY_UP:
    case 'k':
        at -= at > 0;
        break;
    case TOP_KEY_DOWN:
    case 'j':
        at++;
        break;
    case TOP_KEY_PAGE_UP:
        at -= at < page ? at : page;
        break;
    case TOP_KEY_PAGE_DOWN:
        at += page;
        break;
    case TOP_KEY_HOME:
    case 'g':
        at = 0;
        break;
    case TOP_KEY_END:
    case 'G':
        at = LISTING_TENANTS_MAX;
        break;
    default:
        return;
    }
    select_at(view, model, at);
}

static const struct top_tenant *find(const struct top_model *model, const char *name)
{
    for (size_t i = 0; i < model->tenant_count; i++)
        if (str_equals(model->tenants[i]->name, name))
            return model->tenants[i];
    return NULL;
}

static struct top_action make_set(const struct top_view *view)
{
    struct top_action action = {.kind = TOP_SEND};

    message_init(&action.set, MESSAGE_SET, sizeof(action.set));
    action.set.gpu_mask = UINT32_MAX;
    (void)str_format(action.tenant, sizeof(action.tenant), "%s", view->target); /* same size */
    return action;
}

/* A supervisor takes any limit: that the card has less is for whoever types it. */
static int check_cards(const struct top_tenant *tenant, const struct message_set *set,
                       struct err *err)
{
    for (size_t i = 0; tenant && i < tenant->share_count; i++) {
        const struct message_status_gpu *gpu = &tenant->shares[i].status;

        if ((set->fields & MESSAGE_SET_MEMORY) && !set->memory_milli_percent &&
            set->memory_bytes != REGION_NO_LIMIT && set->memory_bytes > gpu->card_bytes)
            return err_say(err, ERANGE, "GPU %u has only %lluMiB", gpu->nvml_index,
                           (unsigned long long)(gpu->card_bytes >> 20));
    }
    return 0;
}

static struct top_action press_in_prompt(struct top_view *view, const struct top_model *model,
                                         uint32_t key)
{
    struct top_action action = make_set(view), nothing = {.kind = TOP_NOTHING};
    struct err err;

    if (key == TOP_KEY_ESCAPE || (key == TOP_KEY_ENTER && !view->input[0])) {
        view->mode = TOP_LIST;
        return nothing;
    }
    if (key != TOP_KEY_ENTER) {
        (void)type_into(view->input, sizeof(view->input), key); /* others do nothing here */
        return nothing;
    }
    if (limit_text_read(&action.set, view->field, view->input, &err) < 0 ||
        check_cards(find(model, view->target), &action.set, &err) < 0) {
        top_view_say(view, true, "%s", err.text);
        return nothing;
    }
    view->mode = TOP_LIST;
    return action;
}

static struct top_action press_in_confirm(struct top_view *view, const struct top_model *model,
                                          uint32_t key)
{
    struct top_action action = make_set(view), nothing = {.kind = TOP_NOTHING};

    view->mode = TOP_LIST;
    if ((key != 'y' && key != 'Y') || !find(model, view->target))
        return nothing;
    action.set.fields = MESSAGE_SET_SUSPENDED;
    action.set.is_suspended = view->is_suspending;
    return action;
}

static void press_in_filter(struct top_view *view, const struct top_model *model, uint32_t key)
{
    if (key == TOP_KEY_ENTER)
        view->mode = TOP_LIST;
    else if (key == TOP_KEY_ESCAPE) {
        view->mode = TOP_LIST;
        view->filter[0] = '\0';
    } else if (!type_into(view->filter, sizeof(view->filter), key))
        move(view, model, key); /* arrows */
    top_view_arrange(view, model);
}

static void press_in_list(struct top_view *view, const struct top_model *model, uint32_t key)
{
    static const struct {
        char key;
        enum top_mode mode;
        enum message_set_field field;
    } beginnings[] = {{'m', TOP_PROMPT, MESSAGE_SET_MEMORY},
                      {'c', TOP_PROMPT, MESSAGE_SET_COMPUTE},
                      {'w', TOP_PROMPT, MESSAGE_SET_WEIGHT},
                      {'p', TOP_PROMPT, MESSAGE_SET_PRIORITY},
                      {'z', TOP_CONFIRM, MESSAGE_SET_SUSPENDED}};
    static const char sorts[] = {[TOP_SORT_NAME] = 'N',
                                 [TOP_SORT_SHARE] = 'S',
                                 [TOP_SORT_MEMORY] = 'M',
                                 [TOP_SORT_CAP] = 'C'};

    for (size_t i = 0; i < ARRAY_LENGTH(beginnings); i++)
        if (key == (uint32_t)beginnings[i].key)
            begin(view, model, beginnings[i].mode, beginnings[i].field);
    for (unsigned int i = 0; i < TOP_SORT_END; i++)
        if (key == (uint32_t)sorts[i])
            sort_by(view, model, (enum top_sort)i);
    if (key == 'r' || key == 'R') {
        view->is_reversed = !view->is_reversed;
        top_view_arrange(view, model);
    } else if (key == '/')
        view->mode = TOP_FILTER;
    else if (key == '?' || key == 'h')
        view->mode = TOP_HELP;
    else if (key == TOP_KEY_ESCAPE && view->filter[0]) {
        view->filter[0] = '\0';
        top_view_arrange(view, model);
    } else
        move(view, model, key);
}

struct top_action top_view_press(struct top_view *view, const struct top_model *model, uint32_t key)
{
    struct top_action nothing = {.kind = TOP_NOTHING};

    view->message[0] = '\0';
    if (key == '\r')
        key = TOP_KEY_ENTER;
    if (key == TOP_KEY_REDRAW)
        return (struct top_action){.kind = TOP_REPAINT};
    switch (view->mode) {
    case TOP_FILTER:
        press_in_filter(view, model, key);
        return nothing;
    case TOP_PROMPT:
        return press_in_prompt(view, model, key);
    case TOP_CONFIRM:
        return press_in_confirm(view, model, key);
    case TOP_HELP:
        view->mode = TOP_LIST;
        return nothing;
    default:
        break;
    }
    if (key == 'q' || key == 'Q')
        return (struct top_action){.kind = TOP_QUIT};
    press_in_list(view, model, key);
    return nothing;
}
