#include "utils/attr.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void attr_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        (void)close(*fd); /* the descriptor is gone whatever it says */
    *fd = -1;
    errno = saved;
}

void attr_free(void *pointer)
{
    void **holder = pointer;

    free(*holder);
    *holder = NULL;
}
