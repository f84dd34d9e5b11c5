#include "bootstrap/preload_list.h"

#include "utils/str.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS ": \t\r"

/* A piece of a line: a library, or the comment at its end. */
struct piece {
    const char *text;
    size_t length;
};

/* The next piece at or behind `at` on the same line; of length 0 at the line's end. */
static struct piece next_piece(const char *at)
{
    at += strspn(at, SEPARATORS);
    return (struct piece){at, *at == '#' ? strcspn(at, "\n") : strcspn(at, SEPARATORS "\n#")};
}

static bool is_path(const struct piece *piece, const char *path)
{
    return strlen(path) == piece->length && strncmp(path, piece->text, piece->length) == 0;
}

static bool is_ours(const struct piece *piece, const struct preload_list_ours *ours)
{
    size_t length = strlen(ours->folder);
    struct piece name = {piece->text + length + 1, piece->length - length - 1};

    if (piece->length <= length + 1 || strncmp(piece->text, ours->folder, length) != 0 ||
        piece->text[length] != '/')
        return false;
    for (const char *const *other = ours->names; *other; other++)
        if (is_path(&name, *other))
            return true;
    return false;
}

/* Goes through our pieces of a line, each of which has to be the next that is wanted. */
static bool match_line(const char *line, const struct preload_list_ours *ours,
                       const char *const **wanted)
{
    struct piece piece = next_piece(line);

    for (; piece.length; piece = next_piece(piece.text + piece.length)) {
        if (!is_ours(&piece, ours))
            continue;
        if (!**wanted || !is_path(&piece, **wanted))
            return false;
        (*wanted)++;
    }
    return true;
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

static bool is_as_wanted(const char *text, const struct preload_list_ours *ours,
                         const char *const *wanted)
{
    for (; *text; text = next_line(text))
        if (!match_line(text, ours, &wanted))
            return false;
    return !*wanted;
}

static bool has_ours(const char *line, const struct preload_list_ours *ours)
{
    struct piece piece = next_piece(line);

    for (; piece.length; piece = next_piece(piece.text + piece.length))
        if (is_ours(&piece, ours))
            return true;
    return false;
}

/* What is foreign on a line that has something of ours. */
static void add_foreign(struct str *str, const char *line, const struct preload_list_ours *ours)
{
    struct piece piece = next_piece(line);
    size_t before = str->length;

    for (; piece.length; piece = next_piece(piece.text + piece.length))
        if (!is_ours(&piece, ours))
            str_add(str, "%s%.*s", str->length > before ? " " : "", (int)piece.length, piece.text);
    if (str->length > before)
        str_add(str, "\n");
}

char *preload_list_edit(const char *text, const struct preload_list_ours *ours,
                        const char *const *wanted)
{
    size_t size = strlen(text) + 2; /* a line's end may be missing; the NUL */
    struct str str;
    char *edited;

    if (is_as_wanted(text, ours, wanted))
        return strdup(text);
    for (const char *const *path = wanted; *path; path++)
        size += strlen(*path) + 1;
    edited = malloc(size);
    if (!edited)
        return NULL;
    str_init(&str, edited, size);
    for (; *text; text = next_line(text)) {
        if (has_ours(text, ours))
            add_foreign(&str, text, ours);
        else
            str_add(&str, "%.*s\n", (int)strcspn(text, "\n"), text);
    }
    for (; *wanted; wanted++)
        str_add(&str, "%s\n", *wanted);
    return edited;
}
