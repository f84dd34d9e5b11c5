/*
 * The libFuzzer target of bootstrap/preload_list and name_list: any bytes as /etc/ld.so.preload and
 * as a list of names. Doing it again changes nothing; no name that is taken could be a path.
 */
#include "bootstrap/name_list.h"
#include "bootstrap/preload_list.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"liba.so", "libb.so", NULL};
static const char *const both[] = {"/v/liba.so", "/v/libb.so", NULL};
static const char *const none[] = {NULL};

static void edit(const char *text, const char *const *wanted)
{
    const struct preload_list_ours ours = {.folder = "/v", .names = names};
    char *once = preload_list_edit(text, &ours, wanted), *twice;

    twice = once ? preload_list_edit(once, &ours, wanted) : NULL;
    if (!twice || strcmp(once, twice) != 0)
        abort();
    free(twice);
    free(once);
}

static void read_names(const char *text)
{
    struct name_list list = {.count = 0};

    if (name_list_add_text(&list, text, NULL) < 0)
        abort();
    for (size_t i = 0; i < list.count; i++)
        if (!*list.names[i] || strpbrk(list.names[i], "/\n"))
            abort();
    name_list_fini(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);

    if (!text)
        abort();
    edit(text, both);
    edit(text, none);
    read_names(text);
    free(text);
    return 0;
}
