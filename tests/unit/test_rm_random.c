#include "tests/fuzz/rm_calls.h"

#include "tests/harness.h"

#define RUNS      2000
#define RUN_BYTES 8192

/* xorshift: the same bytes everywhere. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

TEST(whatever_is_called_accounts_stay_right_and_locks_are_balanced)
{
    static uint8_t bytes[RUN_BYTES];
    uint64_t seed = UINT64_C(0x9E3779B97F4A7C15);
    int runs = harness_is_full() ? 20 * RUNS : RUNS;

    for (int run = 0; run < runs; run++) {
        size_t size = next_random(&seed) % RUN_BYTES;

        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(next_random(&seed) >> 32);
        CHECK_EQ(rm_calls_run(bytes, size), 0);
    }
}
