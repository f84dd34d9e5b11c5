#include "add-path/path_list.h"

#include <stdint.h>

/*
 * This runs at the start of every program, when none of libc's string functions is in memory yet:
 * the fault for a page of its code takes as long as everything here. So there are loops of our own,
 * which are as fast for texts as short as elements of a path.
 */

struct element {
    const char *text;
    size_t length;
    uint64_t hash; /* FNV-1a */
};

/* What one edit works on. */
struct work {
    const struct path_edit *edit;
    struct path_slot *slots;
    size_t mask; /* slots less one */
    struct path_result *result;
};

/* Without a branch: which of them it is differs all the time. */
static bool is_separator(char c, const char *separators)
{
    return (c == separators[0]) | (c == separators[1]);
}

static struct element element_at(const char *text, const char *separators)
{
    struct element element = {.text = text, .hash = 14695981039346656037u};

    for (; *text && !is_separator(*text, separators); text++)
        element.hash = (element.hash ^ (unsigned char)*text) * 1099511628211u;
    element.length = (size_t)(text - element.text);
    return element;
}

/* Goes on to the next element; returns false behind the last one. */
static bool next_element(struct element *element, const char *separators)
{
    const char *end = element->text + element->length;

    if (!*end)
        return false;
    *element = element_at(end + 1, separators);
    return true;
}

static size_t count_elements(const char *list, const char *separators)
{
    size_t count = 0;

    for (; list && *list; list++)
        count += is_separator(*list, separators);
    return count + 1;
}

static size_t length_of(const char *text)
{
    size_t length = 0;

    while (text && text[length])
        length++;
    return length;
}

size_t path_list_bound(const struct path_edit *edit)
{
    /* Each in full, and a colon before each. */
    return length_of(edit->list) + length_of(edit->append) + length_of(edit->prepend) + 3;
}

size_t path_list_slots(const struct path_edit *edit)
{
    size_t count = count_elements(edit->list, edit->separators) +
                   count_elements(edit->append, edit->separators) +
                   count_elements(edit->prepend, edit->separators);
    size_t slots = 1;

    /* At most half of them get used, so that a search soon meets a free one. */
    while (slots < 2 * count)
        slots *= 2;
    return slots;
}

static bool has_element(const struct path_slot *slot, const struct element *element)
{
    size_t i = 0;

    if (slot->length != element->length)
        return false;
    while (i < element->length && slot->text[i] == element->text[i])
        i++;
    return i == element->length;
}

/* The slot that has the element, or the free one where it belongs. */
static struct path_slot *find_slot(const struct work *work, const struct element *element)
{
    uint64_t hash = element->hash ^ element->hash >> 32;
    struct path_slot *slot;

    for (;; hash++) {
        slot = &work->slots[hash & work->mask];
        if (!slot->text || has_element(slot, element))
            return slot;
    }
}

static void fill_slot(struct path_slot *slot, const struct element *element, bool is_prepended)
{
    *slot = (struct path_slot){element->text, element->length, is_prepended};
}

static void put_text(struct work *work, const char *text, size_t length)
{
    struct path_result *result = work->result;
    const char *list = (work->edit->list ? work->edit->list : "") + result->length;
    char *to = result->text ? result->text + result->length : NULL;
    bool is_same = result->is_same;

    for (size_t i = 0; i < length; i++) {
        /* Never behind the list's end: what is put is not NUL, so that there they differ. */
        is_same = is_same && list[i] == text[i];
        if (to)
            to[i] = text[i];
    }
    result->is_same = is_same;
    result->length += length;
}

static void put_element(struct work *work, char separator, const struct element *element)
{
    if (work->result->has_element)
        put_text(work, &separator, 1);
    put_text(work, element->text, element->length);
    work->result->has_element = true;
}

/* Those of a text that are to be added and are not known yet. */
static void put_new(struct work *work, const char *text, bool is_prepended)
{
    const char *separators = work->edit->separators;
    struct element element;

    if (!text)
        return;
    element = element_at(text, separators);
    do {
        struct path_slot *slot = find_slot(work, &element);

        if (!element.length || slot->text)
            continue;
        fill_slot(slot, &element, is_prepended);
        put_element(work, ':', &element);
    } while (next_element(&element, separators));
}

/* The list without what moves to the front. */
static void put_list(struct work *work)
{
    const char *list = work->edit->list, *separators = work->edit->separators;
    struct element element;

    if (!list || !*list)
        return;
    element = element_at(list, separators);
    do {
        struct path_slot *slot = find_slot(work, &element);
        char before = element.text == list ? ':' : element.text[-1];

        if (slot->text && slot->is_prepended)
            continue;
        fill_slot(slot, &element, false);
        put_element(work, before, &element);
    } while (next_element(&element, separators));
}

void path_list_edit(const struct path_edit *edit, struct path_slot *slots, size_t slot_count,
                    char *text, struct path_result *ret_result)
{
    struct work work = {edit, slots, slot_count - 1, ret_result};
    const char *list = edit->list ? edit->list : "";

    for (size_t i = 0; i < slot_count; i++)
        slots[i].text = NULL;
    *ret_result = (struct path_result){.text = text, .is_same = true};
    /* The result's order; what an element is, the first that names it decides. */
    put_new(&work, edit->prepend, true);
    put_list(&work);
    put_new(&work, edit->append, false);
    ret_result->is_same = ret_result->is_same && !list[ret_result->length];
}
