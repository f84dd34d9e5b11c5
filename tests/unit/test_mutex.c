#include "tests/harness.h"

#include "utils/mutex.h"

#include <errno.h>
#include <pthread.h>

#define THREADS 4
#define ROUNDS  20000

static struct {
    struct mutex mutex;
    uint64_t count;        /* under the mutex */
    uint32_t inside, most; /* under it as well, if it is one */
} shared;

static void *count_under_it(void *context)
{
    for (int i = 0; i < ROUNDS; i++) {
        errno = ENOTTY;
        mutex_lock(&shared.mutex);
        shared.inside++;
        if (shared.inside > shared.most)
            shared.most = shared.inside;
        shared.count++;
        shared.inside--;
        mutex_unlock(&shared.mutex);
        CHECK_EQ(errno, ENOTTY);
    }
    return context;
}

TEST(of_several_threads_one_is_inside_and_all_come_to_an_end)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, count_under_it, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(shared.count, (uint64_t)THREADS * ROUNDS);
    CHECK_EQ(shared.most, 1);
    CHECK(!mutex_is_held(&shared.mutex));
}

static void *wait_for_it(void *context)
{
    mutex_lock(&shared.mutex);
    mutex_unlock(&shared.mutex);
    return context;
}

TEST(who_sleeps_for_it_is_woken)
{
    pthread_t threads[THREADS];

    mutex_lock(&shared.mutex);
    CHECK(mutex_is_held(&shared.mutex));
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_for_it, NULL), 0);
    /* Somebody sleeps, or is about to: an unlock from here on has to wake him. */
    while (load_relaxed(&shared.mutex.word) != MUTEX_HELD_AND_WANTED)
        ;
    mutex_unlock(&shared.mutex);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK(!mutex_is_held(&shared.mutex));
}
