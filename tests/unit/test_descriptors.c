#include "tests/harness.h"

#include "cuda-limiter/descriptors.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#define THREADS 4

static void forget_all(void)
{
    for (int fd = descriptors_next(0, UINT_MAX); fd >= 0; fd = descriptors_next(0, UINT_MAX))
        (void)descriptors_set(fd, 0);
}

TEST(what_was_never_noted_is_nothing)
{
    forget_all();
    CHECK_EQ(descriptors_get(0), 0);
    CHECK_EQ(descriptors_get(500000), 0);
    CHECK_EQ(descriptors_next(0, UINT_MAX), -1);
    CHECK_EQ(descriptors_find(77), -1);
}

TEST(numbers_beyond_what_is_kept_are_nothing_and_no_harm)
{
    static const int fds[] = {-1, INT_MIN, INT_MAX, DESCRIPTORS_MAX, DESCRIPTORS_MAX + 1};

    forget_all();
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        CHECK_EQ(descriptors_set(fds[i], 5), 0);
        CHECK_EQ(descriptors_get(fds[i]), 0);
    }
    CHECK_EQ(descriptors_next(0, UINT_MAX), -1);
    CHECK_EQ(descriptors_next(UINT_MAX, UINT_MAX), -1);
    CHECK_EQ(descriptors_next(5, 4), -1);
}

TEST(a_number_is_what_it_was_last_noted_as)
{
    forget_all();
    CHECK_EQ(descriptors_set(7, 100), 0);
    CHECK_EQ(descriptors_get(7), 100);
    CHECK_EQ(descriptors_set(7, 101), 100); /* somebody closed it without our seeing it */
    CHECK_EQ(descriptors_find(100), -1);
    CHECK_EQ(descriptors_find(101), 7);
    CHECK(descriptors_set(8, DESCRIPTORS_OWN) == 0);
    CHECK(descriptors_get(8) == DESCRIPTORS_OWN);
    CHECK_EQ(descriptors_set(7, 0), 101);
    CHECK_EQ(descriptors_find(101), -1);
}

TEST(duplicates_are_one_file_until_the_last_is_gone)
{
    forget_all();
    (void)descriptors_set(3, 200);
    (void)descriptors_set(5000, 200);
    CHECK_EQ(descriptors_find(200), 3);
    (void)descriptors_set(3, 0);
    CHECK_EQ(descriptors_find(200), 5000);
    (void)descriptors_set(5000, 0);
    CHECK_EQ(descriptors_find(200), -1);
}

TEST(a_range_is_walked_over_its_holes_and_ends)
{
    static const int fds[] = {0, 1023, 1024, 70000, DESCRIPTORS_MAX - 1};
    unsigned int first = 0;

    forget_all();
    for (size_t i = 0; i < 5; i++)
        (void)descriptors_set(fds[i], 300 + i);
    for (size_t i = 0; i < 5; i++) {
        int fd = descriptors_next(first, UINT_MAX);

        CHECK_EQ(fd, fds[i]);
        first = (unsigned int)fd + 1;
    }
    CHECK_EQ(descriptors_next(first, UINT_MAX), -1);
    CHECK_EQ(descriptors_next(1, 1022), -1);
    CHECK_EQ(descriptors_next(1, 1023), 1023);
    CHECK_EQ(descriptors_next(1025, 69999), -1);
    forget_all();
}

TEST(new_files_have_numbers_of_their_own)
{
    uint64_t last = descriptors_new_file();

    CHECK(last != 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t next = descriptors_new_file();

        CHECK(next != last && next != DESCRIPTORS_OWN);
        last = next;
    }
}

TEST(a_number_put_to_another_use_is_seen)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), other;
    uint64_t before = descriptors_identify(fd);

    CHECK(before != 0);
    other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    CHECK(descriptors_identify(other) == before);
    close(other);
    CHECK_EQ(descriptors_identify(other), 0);
    close(fd);
    CHECK_EQ(open("/dev/zero", O_RDONLY | O_CLOEXEC), fd);
    CHECK(descriptors_identify(fd) != before);
    CHECK_EQ(descriptors_identify(-1), 0);
    close(fd);
}

/* Each thread on numbers of its own, in chunks that all of them make at once. */
static void *use_numbers(void *argument)
{
    int own = *(const int *)argument;
    uintptr_t faults = 0;

    for (int round = 0; round < 200; round++)
        for (int chunk = 100; chunk < 110; chunk++) {
            int fd = chunk * 1024 + own;

            faults += descriptors_set(fd, (uint64_t)own + 1) != 0;
            faults += descriptors_get(fd) != (uint64_t)own + 1;
            faults += descriptors_set(fd, 0) != (uint64_t)own + 1;
        }
    return (void *)faults;
}

TEST(threads_do_not_lose_each_other_s_notes)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];

    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK_EQ(pthread_create(&threads[i], NULL, use_numbers, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *faults = NULL;

        CHECK_EQ(pthread_join(threads[i], &faults), 0);
        CHECK(faults == NULL);
    }
}
