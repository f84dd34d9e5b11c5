#include "add-path/environment.h"

#include "add-path/path_list.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#define NEAR_BYTES      512 /* of a result that is made on the stack first */
#define FEW_SLOTS       64  /* for lists of up to 32 elements; longer ones get pages */
#define ARGUMENT_PAGES  32  /* the longest string that the kernel lets execve() pass on */
#define LIST_SEPARATORS ":, \t"
#define TARGET_COUNT    3
#define NAME(words)                                                                                \
    {                                                                                              \
        words, sizeof(words) - 1                                                                   \
    }

/* A variable's name: a part of a longer text. */
struct name {
    const char *text;
    size_t length;
};

/* What is done to one variable. */
struct task {
    struct name name;
    struct path_edit
        edit; /* but for its list: a name may stand in the environment more than once */
};

/* Those that are always edited, in this order. */
static const struct target {
    struct name name, append, prepend;
    const char *separators; /* two: as the loader, and whoever looks for programs, take them */
} targets[TARGET_COUNT] = {
    {NAME("PATH"), NAME("TF_PATH"), NAME("TF_PREPEND_PATH"), "::"},
    {NAME("LD_PRELOAD"), NAME("TF_LD_PRELOAD"), NAME("TF_PREPEND_LD_PRELOAD"), ": "},
    {NAME("LD_LIBRARY_PATH"), NAME("TF_LD_LIBRARY_PATH"), NAME("TF_PREPEND_LD_LIBRARY_PATH"), ":;"},
};
static const struct name listing = NAME("TF_PATH_VARIABLES");
static const struct name append = NAME("TF_APPEND_"), prepend = NAME("TF_PREPEND_");

/* The values of those variables; NULL for what is not set. */
struct sources {
    const char *append[TARGET_COUNT], *prepend[TARGET_COUNT], *listed;
};

/* What an edit has of its own. Not static: a page for it would have to be made in every program. */
struct editor {
    char *memory;   /* of pages from which strings and arrays are cut */
    size_t left;    /* bytes of them */
    char **entries; /* an array of ours that the environment is in, NULL before there is one */
    size_t count, capacity; /* of it: without and with room for the closing NULL */
};

static void *map_pages(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

/* Aligned for pointers; NULL where there is no memory. */
static void *take_memory(struct editor *editor, size_t size)
{
    size_t rounded = (size + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
    size_t page = getauxval(AT_PAGESZ);
    void *taken;

    if (rounded > editor->left) {
        size_t mapped = (rounded + page - 1) & ~(page - 1);
        char *memory = map_pages(mapped);

        if (!memory)
            return NULL;
        editor->memory = memory;
        editor->left = mapped;
    }
    taken = editor->memory;
    editor->memory += rounded;
    editor->left -= rounded;
    return taken;
}

/* Where memcpy() is, there is no page yet: see path_list.c. */
static void copy(char *to, const char *from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        to[i] = from[i];
}

/* What stands behind the prefix in the text, NULL where it does not begin so. */
static const char *behind(const char *text, const struct name *prefix)
{
    size_t i = 0;

    while (i < prefix->length && text[i] == prefix->text[i])
        i++;
    return i == prefix->length ? text + i : NULL;
}

/* The value of an entry of this name, NULL where the entry is another's. */
static const char *value_of(const char *entry, const struct name *name)
{
    const char *value = behind(entry, name);

    return value && *value == '=' ? value + 1 : NULL;
}

/*
 * The value of an entry of this name, unless one was found before: the first is the one that
 * counts.
 */
static void take_value(const char *entry, const struct name *name, const char **value)
{
    if (!*value)
        *value = value_of(entry, name);
}

/*
 * `__environ` and not `environ`: a program that was linked at a fixed address may have a copy of
 * the variable, and this is the name by which libc itself finds that copy.
 */
static void find_sources(struct sources *sources)
{
    static const struct name ours = NAME("TF_");

    for (char **entry = __environ; *entry; entry++) {
        if (!behind(*entry, &ours))
            continue;
        for (size_t i = 0; i < TARGET_COUNT; i++) {
            take_value(*entry, &targets[i].append, &sources->append[i]);
            take_value(*entry, &targets[i].prepend, &sources->prepend[i]);
        }
        take_value(*entry, &listing, &sources->listed);
    }
}

/* The value behind a prefix and a name, such as TF_APPEND_ and FOO. */
static const char *find_prefixed(const struct name *prefix, const struct name *name)
{
    for (char **entry = __environ; *entry; entry++) {
        const char *rest = behind(*entry, prefix), *value = rest ? value_of(rest, name) : NULL;

        if (value)
            return value;
    }
    return NULL;
}

/*
 * The new entry for a list that the slots are enough for; NULL where it stays as it is. A short
 * one is made on the stack and copied, a long one is measured and made.
 */
static char *compose(struct editor *editor, const struct task *task, struct path_slot *slots,
                     size_t slot_count)
{
    size_t name_length = task->name.length, most = ARGUMENT_PAGES * getauxval(AT_PAGESZ);
    bool is_near = path_list_bound(&task->edit) <= NEAR_BYTES;
    char near[NEAR_BYTES], *entry;
    struct path_result result;

    path_list_edit(&task->edit, slots, slot_count, is_near ? near : NULL, &result);
    /* A longer one would have every execve() of this program fail. */
    if (result.is_same || name_length + 1 + result.length + 1 > most)
        return NULL;
    entry = take_memory(editor, name_length + 1 + result.length + 1);
    if (!entry)
        return NULL;
    copy(entry, task->name.text, name_length);
    entry[name_length] = '=';
    if (is_near)
        copy(entry + name_length + 1, near, result.length);
    else
        path_list_edit(&task->edit, slots, slot_count, entry + name_length + 1, &result);
    entry[name_length + 1 + result.length] = '\0';
    return entry;
}

static char *make_entry(struct editor *editor, const struct task *task, const char *list)
{
    struct task whole = *task;
    struct path_slot few[FEW_SLOTS], *many;
    size_t slot_count;
    char *entry;

    whole.edit.list = list;
    slot_count = path_list_slots(&whole.edit);
    if (slot_count <= FEW_SLOTS)
        return compose(editor, &whole, few, slot_count);
    many = map_pages(slot_count * sizeof(*many));
    if (!many)
        return NULL;
    entry = compose(editor, &whole, many, slot_count);
    (void)munmap(many, slot_count * sizeof(*many)); /* ours, whole: cannot fail */
    return entry;
}

/* Moves the environment into an array of ours that has room for one more. */
static bool make_room(struct editor *editor)
{
    size_t count = 0, capacity;
    char **entries;

    if (editor->entries && editor->count + 1 < editor->capacity)
        return true;
    while (__environ[count])
        count++;
    capacity = count + count / 2 + 4;
    entries = take_memory(editor, capacity * sizeof(*entries));
    if (!entries)
        return false;
    memcpy(entries, __environ, (count + 1) * sizeof(*entries));
    editor->entries = entries;
    editor->count = count;
    editor->capacity = capacity;
    __environ = entries;
    return true;
}

static void add_entry(struct editor *editor, const struct task *task)
{
    char *entry = make_entry(editor, task, NULL);

    if (!entry || !make_room(editor))
        return;
    editor->entries[editor->count++] = entry;
    editor->entries[editor->count] = NULL;
}

static void do_task(struct editor *editor, const struct task *task)
{
    bool is_set = false;

    if (!task->edit.append && !task->edit.prepend)
        return;
    /* Programs disagree on which of two entries of one name counts: so all of them are edited. */
    for (char **entry = __environ; *entry; entry++) {
        const char *list = value_of(*entry, &task->name);
        char *edited = list ? make_entry(editor, task, list) : NULL;

        if (edited)
            *entry = edited;
        is_set |= list != NULL;
    }
    if (!is_set)
        add_entry(editor, task);
}

static bool is_same_name(const struct name *a, const struct name *b)
{
    return a->length == b->length && behind(a->text, b);
}

/* One that says what is to be added: a program's children must find it as it was. */
static bool is_source(const struct name *name)
{
    for (size_t i = 0; i < TARGET_COUNT; i++)
        if (is_same_name(name, &targets[i].append) || is_same_name(name, &targets[i].prepend))
            return true;
    /*
     * Neither prefix has in it what ends a name in the list, so that it is found within the
     * name.
     */
    return is_same_name(name, &listing) || behind(name->text, &append) ||
           behind(name->text, &prepend);
}

static const char *separators_of(const struct name *name)
{
    for (size_t i = 0; i < TARGET_COUNT; i++)
        if (is_same_name(name, &targets[i].name))
            return targets[i].separators;
    return "::";
}

/* The variables that the list names. */
static void edit_listed(struct editor *editor, const char *list)
{
    struct name name = {.text = list};

    while (*(name.text += strspn(name.text, LIST_SEPARATORS))) {
        name.length = strcspn(name.text, LIST_SEPARATORS);
        /* With a '=' in it, it would be taken for a name and a part of its value. */
        if (!memchr(name.text, '=', name.length) && !is_source(&name))
            do_task(editor, &(struct task){.name = name,
                                           .edit = {.separators = separators_of(&name),
                                                    .append = find_prefixed(&append, &name),
                                                    .prepend = find_prefixed(&prepend, &name)}});
        name.text += name.length;
    }
}

void environment_edit(void)
{
    struct sources sources = {.listed = NULL};
    struct editor editor = {0};
    int saved = errno;

    if (!__environ)
        return;
    find_sources(&sources);
    for (size_t i = 0; i < TARGET_COUNT; i++)
        do_task(&editor, &(struct task){.name = targets[i].name,
                                        .edit = {.separators = targets[i].separators,
                                                 .append = sources.append[i],
                                                 .prepend = sources.prepend[i]}});
    if (sources.listed)
        edit_listed(&editor, sources.listed);
    errno = saved;
}
