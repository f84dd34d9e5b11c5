#include "cuda-limiter/hot.h"

#include <stddef.h>

_Alignas(64) struct hot hot;
__thread struct hot_thread hot_thread;

_Static_assert(offsetof(struct hot, mediator) + offsetof(struct mediator, refusals) +
                       sizeof(hot.mediator.refusals) <=
                   64,
               "what every call looks at is one line");
