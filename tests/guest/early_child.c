/*
 * early_child - a library whose handler in a forked child comes before those of libraries that are
 * initialised later, and touches descriptors there.
 */
#include <pthread.h>
#include <unistd.h>

#define LAST_FD 63

static void touch(void)
{
    for (int fd = 3; fd <= LAST_FD; fd++) {
        int copy = dup(fd);

        if (copy >= 0)
            (void)close(copy);
    }
}

__attribute__((constructor)) static void begin(void)
{
    (void)pthread_atfork(NULL, NULL, touch); /* without memory there is no test */
}
