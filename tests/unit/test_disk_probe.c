#include "tests/harness.h"

#include "hypervisor/disk_probe.h"
#include "utils/str.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char directory[64], words[112];

static void start(void)
{
    (void)str_format(directory, sizeof(directory), "/tmp/vgunitXXXXXX");
    CHECK(mkdtemp(directory) != NULL);
}

TEST(a_directory_that_can_be_written_to_stays_as_it_is)
{
    start();
    CHECK_EQ(disk_probe(directory, words, sizeof(words)), 0);
    CHECK_STR_EQ(words, "");
    CHECK_EQ(rmdir(directory), 0); /* it is empty */
}

TEST(one_that_is_gone_is_said)
{
    start();
    CHECK_EQ(rmdir(directory), 0);
    CHECK_EQ(disk_probe(directory, words, sizeof(words)), 0);
    CHECK(strstr(words, "No such file or directory: nothing can be written to '/tmp/vgunit"));
}

TEST(a_file_that_cannot_grow_is_said_and_leaves_nothing)
{
    const struct rlimit none = {0, RLIM_INFINITY};
    struct rlimit before;

    start();
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
    CHECK_EQ(disk_probe(directory, words, sizeof(words)), 0);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK(strstr(words, "File too large: nothing can be written"));
    CHECK_EQ(rmdir(directory), 0);
}

TEST(without_a_descriptor_nothing_is_said_of_the_disk)
{
    struct rlimit before, none;

    start();
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_EQ(disk_probe(directory, words, sizeof(words)), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_STR_EQ(words, "");
    CHECK_EQ(rmdir(directory), 0);
}
