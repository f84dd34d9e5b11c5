/*
 * The libFuzzer target of add-path/path_list: a list and what is added to it, three texts with a
 * line's end between them. Whatever they hold, doing it again changes nothing.
 */
#include "add-path/path_list.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The result, which the caller frees. */
static char *edit(struct path_edit *edit)
{
    size_t count = path_list_slots(edit);
    struct path_slot *slots = malloc(count * sizeof(*slots));
    struct path_result measured, written;
    char *text;

    if (!slots)
        abort();
    path_list_edit(edit, slots, count, NULL, &measured);
    text = malloc(measured.length + 1);
    if (!text || measured.length > path_list_bound(edit))
        abort();
    path_list_edit(edit, slots, count, text, &written);
    text[written.length] = '\0';
    if (written.length != measured.length ||
        measured.is_same != (strcmp(text, edit->list ? edit->list : "") == 0))
        abort();
    free(slots);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *input = strndup((const char *)data, size), *once, *twice;
    char *append = input ? strchr(input, '\n') : NULL;
    char *prepend = append ? strchr(append + 1, '\n') : NULL;
    struct path_edit work = {.separators = ": ", .list = input};

    if (append) {
        *append = '\0';
        work.append = append + 1;
    }
    if (prepend) {
        *prepend = '\0';
        work.prepend = prepend + 1;
    }
    once = edit(&work);
    work.list = once;
    twice = edit(&work);
    if (strcmp(once, twice) != 0)
        abort();
    free(twice);
    free(once);
    free(input);
    return 0;
}
