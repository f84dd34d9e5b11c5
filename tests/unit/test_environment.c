#include "add-path/environment.h"

#include "tests/harness.h"
#include "utils/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The environment that the edit makes of another, which has to live as long. */
static const char **edit(const char **entries)
{
    union {
        const char **entries;
        char **environment; /* strings in it are not written to */
    } both = {.entries = entries};
    char **saved = environ;

    environ = both.environment;
    environment_edit();
    both.environment = environ;
    environ = saved;
    return both.entries;
}

static void check_entries(const char **got, const char *const *wanted)
{
    size_t i = 0;

    for (; wanted[i]; i++) {
        CHECK(got[i] != NULL);
        CHECK_STR_EQ(got[i], wanted[i]);
    }
    CHECK(got[i] == NULL);
}

#define ENTRIES(...)            ((const char *[]){__VA_ARGS__, NULL})
#define CHECK_ENTRIES(got, ...) check_entries(got, (const char *const[]){__VA_ARGS__, NULL})

TEST(no_environment_and_an_empty_one_are_let_be)
{
    const char *nothing[] = {NULL};

    CHECK(edit(NULL) == NULL);
    CHECK(edit(nothing) == nothing);
    CHECK(nothing[0] == NULL);
}

TEST(without_our_variables_not_a_pointer_changes)
{
    char path[] = "PATH=/bin";
    const char **entries = ENTRIES(path, "TF_PATHS=/x", "TF_PATH", "PATHS=/y");

    CHECK(edit(entries) == entries);
    CHECK(entries[0] == path);
}

TEST(each_of_the_three_has_its_two_variables)
{
    CHECK_ENTRIES(edit(ENTRIES("PATH=/p", "TF_PATH=/q", "TF_PREPEND_PATH=/o")), "PATH=/o:/p:/q",
                  "TF_PATH=/q", "TF_PREPEND_PATH=/o");
    CHECK_ENTRIES(edit(ENTRIES("LD_PRELOAD=p", "TF_LD_PRELOAD=q", "TF_PREPEND_LD_PRELOAD=o n")),
                  "LD_PRELOAD=o:n:p:q", "TF_LD_PRELOAD=q", "TF_PREPEND_LD_PRELOAD=o n");
    CHECK_ENTRIES(edit(ENTRIES("LD_LIBRARY_PATH=/p;/q", "TF_LD_LIBRARY_PATH=/q",
                               "TF_PREPEND_LD_LIBRARY_PATH=/o")),
                  "LD_LIBRARY_PATH=/o:/p;/q", "TF_LD_LIBRARY_PATH=/q",
                  "TF_PREPEND_LD_LIBRARY_PATH=/o");
}

TEST(variables_that_are_not_set_are_added)
{
    CHECK_ENTRIES(
        edit(ENTRIES("TF_PATH=/q", "TF_LD_PRELOAD=x", "TF_PREPEND_LD_LIBRARY_PATH=/l", "A=b")),
        "TF_PATH=/q", "TF_LD_PRELOAD=x", "TF_PREPEND_LD_LIBRARY_PATH=/l", "A=b", "PATH=/q",
        "LD_PRELOAD=x", "LD_LIBRARY_PATH=/l");
}

TEST(a_variable_without_elements_to_add_is_not_even_set)
{
    CHECK_ENTRIES(edit(ENTRIES("TF_PATH=", "TF_LD_PRELOAD=: :", "TF_PREPEND_PATH=::")),
                  "TF_PATH=", "TF_LD_PRELOAD=: :", "TF_PREPEND_PATH=::");
}

TEST(any_variable_that_is_listed_is_edited)
{
    CHECK_ENTRIES(
        edit(ENTRIES("TF_PATH_VARIABLES=A:B, C", "A=1", "TF_APPEND_A=2", "TF_PREPEND_B=3",
                     "TF_APPEND_C=4", "TF_PREPEND_C=4:5", "TF_APPEND_D=6", "TF_APPEND_=7")),
        "TF_PATH_VARIABLES=A:B, C", "A=1:2", "TF_APPEND_A=2", "TF_PREPEND_B=3", "TF_APPEND_C=4",
        "TF_PREPEND_C=4:5", "TF_APPEND_D=6", "TF_APPEND_=7", "B=3", "C=4:5");
}

TEST(a_list_with_nonsense_in_it_edits_what_it_can)
{
    CHECK_ENTRIES(edit(ENTRIES("TF_PATH_VARIABLES=,:=,A=B,TF_PATH,TF_APPEND_A, ,A", "A=B=1",
                               "TF_APPEND_A=2", "TF_APPEND_A=B=3", "TF_APPEND_TF_PATH=x",
                               "TF_APPEND_TF_APPEND_A=y", "TF_APPEND_==z")),
                  "TF_PATH_VARIABLES=,:=,A=B,TF_PATH,TF_APPEND_A, ,A", "A=B=1:2", "TF_APPEND_A=2",
                  "TF_APPEND_A=B=3", "TF_APPEND_TF_PATH=x", "TF_APPEND_TF_APPEND_A=y",
                  "TF_APPEND_==z");
}

TEST(a_listed_variable_has_the_separators_of_its_kind)
{
    CHECK_ENTRIES(
        edit(ENTRIES("TF_PATH_VARIABLES=LD_PRELOAD", "LD_PRELOAD=a b", "TF_APPEND_LD_PRELOAD=b c")),
        "TF_PATH_VARIABLES=LD_PRELOAD", "LD_PRELOAD=a b:c", "TF_APPEND_LD_PRELOAD=b c");
}

TEST(a_name_that_stands_twice_is_edited_in_both_places)
{
    CHECK_ENTRIES(edit(ENTRIES("PATH=/a", "TF_PATH=/c", "PATH=/b")), "PATH=/a:/c", "TF_PATH=/c",
                  "PATH=/b:/c");
}

TEST(hundreds_of_new_variables_find_room)
{
    static char texts[301][32], names[4096];
    const char *entries[302] = {NULL}, **edited;
    size_t count = 0;
    struct str str;

    str_init(&str, names, sizeof(names));
    str_add(&str, "TF_PATH_VARIABLES=");
    for (int i = 0; i < 300; i++) {
        str_add(&str, "V%d,", i);
        (void)snprintf(texts[i], sizeof(texts[i]), "TF_APPEND_V%d=%d", i, i);
        entries[i] = texts[i];
    }
    entries[300] = names;
    edited = edit(entries);
    while (edited[count])
        count++;
    CHECK_EQ(count, 601);
    CHECK_STR_EQ(edited[600], "V299=299");
}

static char *make_value(const char *name, char element, size_t length)
{
    char *text = malloc(strlen(name) + length + 1);

    CHECK(text != NULL);
    memcpy(text, name, strlen(name));
    memset(text + strlen(name), element, length);
    text[strlen(name) + length] = '\0';
    return text;
}

TEST(a_value_may_be_as_long_as_the_kernel_passes_on_and_no_longer)
{
    size_t most = 32 * (size_t)sysconf(_SC_PAGESIZE);
    size_t half = most / 2, rest = most - half - strlen("PATH=") - 2; /* a colon and the NUL */
    char *path = make_value("PATH=", 'a', half), *more = make_value("TF_PATH=", 'b', rest);
    char *too_much = make_value("TF_PATH=", 'b', rest + 1);
    const char **edited = edit(ENTRIES(path, more));

    CHECK_EQ(strlen(edited[0]) + 1, most);
    edited = edit(ENTRIES(path, too_much));
    CHECK(edited[0] == path);
    free(path);
    free(more);
    free(too_much);
}

#if !defined(__SANITIZE_ADDRESS__)
/* Runs in a child that can map nothing more; returns what it found to be so. */
static int edit_without_memory(void)
{
    struct rlimit limit = {0, 0};
    size_t size = 16 * (size_t)sysconf(_SC_PAGESIZE); /* no rest of a page is enough for it */
    char path[] = "PATH=/a", *more = make_value("TF_PATH=", 'b', size);
    char *lots = make_value("TF_LD_PRELOAD=", ':', size);
    const char **entries = ENTRIES(path, more, lots, "TF_PATH_VARIABLES=A"), **edited;

    if (setrlimit(RLIMIT_AS, &limit) < 0)
        return 1;
    if (mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        return 0; /* an emulator knows no such limit */
    errno = EILSEQ;
    edited = edit(entries);
    return edited == entries && edited[0] == path && errno == EILSEQ ? 0 : 2;
}

TEST(without_memory_a_variable_stays_as_it_is)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0)
        _exit(edit_without_memory());
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}
#endif
