#include "bootstrap/name_list.h"

#include "tests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(names_are_sorted_and_there_once)
{
    struct name_list list = {0};
    struct err err;
    char *text;

    CHECK_OK(name_list_add(&list, "b.so", &err), &err);
    CHECK_OK(name_list_add(&list, "a.so", &err), &err);
    CHECK_OK(name_list_add(&list, "c.so", &err), &err);
    CHECK_OK(name_list_add(&list, "b.so", &err), &err);
    CHECK_EQ(list.count, 3);
    CHECK(name_list_has(&list, "c.so") && !name_list_has(&list, "d.so"));
    text = name_list_text(&list);
    CHECK_STR_EQ(text, "a.so\nb.so\nc.so\n");
    free(text);
    name_list_fini(&list);
    name_list_fini(&list);
}

TEST(a_text_brings_names_and_no_paths)
{
    struct name_list list = {0};
    struct err err;

    CHECK_OK(name_list_add_text(&list, "b.so\n\n../../etc/passwd\n/x.so\na.so", &err), &err);
    CHECK_EQ(list.count, 2);
    CHECK(name_list_has(&list, "a.so") && name_list_has(&list, "b.so"));
    name_list_fini(&list);
}

TEST(a_folder_brings_its_libraries_and_nothing_else)
{
    char folder[] = "/tmp/vgXXXXXX", path[64];
    const char *files[] = {"liba.so", "liba.so.1", ".so", "x", "two\nlines.so"};
    struct name_list list = {0};
    struct err err;

    CHECK(mkdtemp(folder) != NULL);
    for (size_t i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        CHECK_EQ(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    }
    (void)snprintf(path, sizeof(path), "%s/link.so", folder);
    CHECK_EQ(symlink("liba.so", path), 0);
    (void)snprintf(path, sizeof(path), "%s/dangling.so", folder);
    CHECK_EQ(symlink("nowhere", path), 0);
    (void)snprintf(path, sizeof(path), "%s/folder.so", folder);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_OK(name_list_add_folder(&list, folder, &err), &err);
    CHECK_EQ(list.count, 2);
    CHECK_STR_EQ(list.names[0], "liba.so");
    CHECK_STR_EQ(list.names[1], "link.so");
    name_list_fini(&list);
    (void)snprintf(path, sizeof(path), "rm -r %s", folder);
    CHECK_EQ(system(path), 0);
    CHECK_EQ(name_list_add_folder(&list, folder, NULL), -ENOENT);
}
