#include "utils/mutex.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

COLD void mutex_wait(struct mutex *mutex)
{
    int saved = errno;

    /*
     * Who comes from here cannot know whether others sleep, and says so: at worst one call too
     * many. Woken for nothing, or before it slept (EAGAIN, EINTR), it looks again.
     */
    while (exchange_ordered(&mutex->word, MUTEX_HELD_AND_WANTED) != MUTEX_FREE)
        (void)syscall(SYS_futex, &mutex->word, FUTEX_WAIT_PRIVATE, MUTEX_HELD_AND_WANTED, NULL);
    errno = saved;
}

COLD void mutex_wake(struct mutex *mutex)
{
    int saved = errno;

    (void)syscall(SYS_futex, &mutex->word, FUTEX_WAKE_PRIVATE, 1); /* cannot fail: it is mapped */
    errno = saved;
}
