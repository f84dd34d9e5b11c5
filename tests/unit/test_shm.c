#include "utils/shm.h"

#include "tests/harness.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

TEST(nobody_can_shrink_it_or_map_a_read_only_one_writable)
{
    void *memory, *mapped;
    struct err err;
    int fd;

    fd = shm_create(&memory, "test", 4096, true, &err);
    CHECK(fd >= 0);
    CHECK_EQ(ftruncate(fd, 0), -1);
    CHECK_EQ(ftruncate(fd, 8192), -1);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK_OK(shm_map(&mapped, fd, 4096, false, &err), &err);
    *(volatile int *)memory = 42;
    CHECK_EQ(*(volatile int *)mapped, 42);
    shm_unmap(mapped, 4096);
    shm_unmap(memory, 4096);
    CHECK_EQ(close(fd), 0);
}

TEST(unsealed_short_and_foreign_descriptors_are_refused)
{
    void *memory, *mapped;
    struct err err;
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING), pipe_fds[2];

    CHECK(fd >= 0);
    CHECK_EQ(ftruncate(fd, 4096), 0);
    CHECK_EQ(shm_map(&mapped, fd, 4096, false, &err), -EPROTO);
    CHECK_EQ(close(fd), 0);
    fd = shm_create(&memory, "test", 4096, false, &err);
    CHECK(fd >= 0);
    CHECK_EQ(shm_map(&mapped, fd, 8192, false, &err), -EPROTO);
    CHECK_EQ(close(fd), 0);
    shm_unmap(memory, 4096);
    CHECK_EQ(pipe(pipe_fds), 0);
    CHECK_EQ(shm_map(&mapped, pipe_fds[0], 4096, false, &err), -EPROTO);
    CHECK_EQ(close(pipe_fds[0]) + close(pipe_fds[1]), 0);
}
