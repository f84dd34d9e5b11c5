#include "utils/attr.h"

#include "tests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

TEST(a_local_descriptor_is_closed_and_errno_kept)
{
    int seen;

    {
        CLEANUP_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        CHECK(fd >= 0);
        seen = fd;
        errno = EXDEV;
    }
    CHECK_EQ(errno, EXDEV);
    CHECK_EQ(fcntl(seen, F_GETFD), -1);
}

TEST(a_descriptor_that_was_taken_stays_open)
{
    int kept;

    {
        CLEANUP_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        kept = TAKE_FD(fd);
    }
    CHECK(fcntl(kept, F_GETFD) >= 0);
    CHECK_EQ(close(kept), 0);
}

TEST(a_local_pointer_is_freed_and_one_that_was_taken_is_not)
{
    char *kept;

    {
        CLEANUP_FREE char *freed = malloc(16);
        CLEANUP_FREE char *text = malloc(16);

        CHECK(freed != NULL && text != NULL);
        kept = TAKE_POINTER(text);
        CHECK(text == NULL);
    }
    kept[0] = 'x';
    free(kept);
}
