#include "utils/file.h"

#include "tests/harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(what_is_written_is_read_back_and_private)
{
    char dir[] = "/tmp/vgXXXXXX", path[64], text[16];
    struct stat status;
    struct err err;

    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/f", dir);
    CHECK_OK(file_write(path, "hello", 5, &err), &err);
    CHECK_EQ(file_read(path, text, sizeof(text), &err), 5);
    CHECK_STR_EQ(text, "hello");
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(status.st_mode & 0777, 0600);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(dir), 0); /* nothing is left beside it */
}

TEST(a_directory_open_to_others_is_refused)
{
    char dir[] = "/tmp/vgXXXXXX";
    struct err err;

    CHECK(mkdtemp(dir) != NULL);
    CHECK_OK(file_make_own_dir(dir, 0700, &err), &err);
    CHECK_EQ(chmod(dir, 0755), 0);
    CHECK_EQ(file_make_own_dir(dir, 0700, &err), -EPERM);
    CHECK_EQ(rmdir(dir), 0);
}

TEST(a_link_to_a_directory_is_refused)
{
    char dir[] = "/tmp/vgXXXXXX", link[64];

    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(link, sizeof(link), "%s/l", dir);
    CHECK_EQ(symlink("/tmp", link), 0);
    CHECK_EQ(file_make_own_dir(link, 0700, NULL), -EPERM);
    CHECK_EQ(unlink(link), 0);
    CHECK_EQ(rmdir(dir), 0);
}

TEST(a_file_longer_than_the_buffer_is_read_as_far_as_it_goes)
{
    char dir[] = "/tmp/vgXXXXXX", path[64], text[4];
    struct err err;

    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/f", dir);
    CHECK_OK(file_write(path, "hello", 5, &err), &err);
    CHECK_OK(file_write(path, "bye", 3, &err), &err);
    CHECK_EQ(file_read(path, text, sizeof(text), &err), 3);
    CHECK_STR_EQ(text, "bye");
    CHECK_EQ(file_read(path, text, 2, &err), 1);
    CHECK_STR_EQ(text, "b");
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(dir), 0);
}

TEST(what_cannot_be_read_or_written_is_said_and_leaves_nothing)
{
    char dir[] = "/tmp/vgXXXXXX", path[64], text[8];
    struct err err;

    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/none/f", dir);
    CHECK_EQ(file_read(path, text, sizeof(text), &err), -ENOENT);
    CHECK_EQ(file_write(path, "x", 1, &err), -ENOENT);
    CHECK_EQ(file_make_own_dir(path, 0700, &err), -ENOENT);
    CHECK_EQ(file_read(dir, text, sizeof(text), &err), -EISDIR);
    CHECK(file_write(dir, "x", 1, &err) < 0); /* a directory is not replaced by a file */
    CHECK_EQ(rmdir(dir), 0);
    (void)snprintf(path, sizeof(path), "%s~", dir);
    CHECK_EQ(access(path, F_OK), -1);
}
