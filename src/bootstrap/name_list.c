#include "bootstrap/name_list.h"

#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LIBRARY_END ".so"

void name_list_fini(struct name_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct name_list){0};
}

/* Where the name stands, or belongs. */
static size_t find_place(const struct name_list *list, const char *name)
{
    size_t place = 0;

    while (place < list->count && strcmp(list->names[place], name) < 0)
        place++;
    return place;
}

bool name_list_has(const struct name_list *list, const char *name)
{
    size_t place = find_place(list, name);

    return place < list->count && str_equals(list->names[place], name);
}

static int insert(struct name_list *list, const char *name, size_t length, struct err *err)
{
    CLEANUP_FREE char *copy = strndup(name, length);
    char **names;
    size_t place;

    if (!copy)
        return err_set(err, ENOMEM, "list files");
    place = find_place(list, copy);
    if (place < list->count && str_equals(list->names[place], copy))
        return 0;
    names = realloc(list->names, (list->count + 1) * sizeof(*names));
    if (!names)
        return err_set(err, ENOMEM, "list files");
    memmove(names + place + 1, names + place, (list->count - place) * sizeof(*names));
    names[place] = TAKE_POINTER(copy);
    list->names = names;
    list->count++;
    return 0;
}

int name_list_add(struct name_list *list, const char *name, struct err *err)
{
    return insert(list, name, strlen(name), err);
}

bool name_is_library(const char *name)
{
    size_t length = strlen(name), end = strlen(LIBRARY_END);

    for (const char *at = name; *at; at++)
        if (*at == '/' || (unsigned char)*at < ' ')
            return false;
    return length > end && str_equals(name + length - end, LIBRARY_END);
}

static void close_folder(DIR **folder)
{
    if (*folder)
        (void)closedir(*folder); /* it was only read */
}

int name_list_add_folder(struct name_list *list, const char *path, struct err *err)
{
    CLEANUP(close_folder) DIR *folder = opendir(path);
    const struct dirent *entry;
    int rc = 0;

    if (!folder)
        return err_set(err, errno, "read directory '%s'", path);
    for (errno = 0; rc == 0 && (entry = readdir(folder)); errno = 0) {
        struct stat status;

        if (name_is_library(entry->d_name) &&
            fstatat(dirfd(folder), entry->d_name, &status, 0) == 0 && S_ISREG(status.st_mode))
            rc = name_list_add(list, entry->d_name, err);
    }
    if (rc == 0 && errno)
        return err_set(err, errno, "read directory '%s'", path);
    return rc;
}

int name_list_add_text(struct name_list *list, const char *text, struct err *err)
{
    int rc = 0;

    while (rc == 0 && *text) {
        size_t length = strcspn(text, "\n");

        if (length && !memchr(text, '/', length))
            rc = insert(list, text, length, err);
        text += length + (text[length] == '\n');
    }
    return rc;
}

char *name_list_text(const struct name_list *list)
{
    size_t size = 1;
    struct str str;
    char *text;

    for (size_t i = 0; i < list->count; i++)
        size += strlen(list->names[i]) + 1;
    text = malloc(size);
    if (!text)
        return NULL;
    str_init(&str, text, size);
    for (size_t i = 0; i < list->count; i++)
        str_add(&str, "%s\n", list->names[i]);
    return text;
}
