/* The libFuzzer target of tests/fuzz/rm_calls.h. */
#include "tests/fuzz/rm_calls.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (rm_calls_run(data, size))
        abort();
    return 0;
}
