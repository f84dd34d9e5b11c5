#include "tests/harness.h"

#include "hypervisor/admission.h"

#include <errno.h>
#include <string.h>

#define GIB (UINT64_C(1) << 30)

static struct {
    struct admission_gpu gpus[4];
    uint32_t count;
    struct err err;
} at;

static void start(uint32_t count)
{
    memset(&at, 0, sizeof(at));
    at.count = count;
    for (uint32_t i = 0; i < count; i++)
        at.gpus[i] =
            (struct admission_gpu){.nvml_index = i, .memory_bytes = 80 * GIB, .is_usable = true};
}

static struct admission_wish nothing(void)
{
    return (struct admission_wish){.memory_bytes = REGION_NO_LIMIT, .cap_milli_percent = 100000};
}

static struct admission_wish memory(uint64_t bytes)
{
    struct admission_wish wish = nothing();

    wish.memory_bytes = bytes;
    return wish;
}

/* The mask, or a negative errno. */
static int decide(const struct admission_wish *wish)
{
    uint32_t mask = 0;
    int rc = admission_decide(at.gpus, at.count, wish, &mask, &at.err);

    return rc < 0 ? rc : (int)mask;
}

/* --- which one --- */

TEST(the_best_fit_leaves_the_least_memory_unreserved)
{
    struct admission_wish wish = memory(10 * GIB);

    start(3);
    at.gpus[0].reserved_bytes = 20 * GIB;
    at.gpus[1].reserved_bytes = 65 * GIB;
    at.gpus[2].reserved_bytes = 75 * GIB; /* full */
    CHECK_EQ(decide(&wish), 1 << 1);
}

TEST(among_those_alike_the_one_with_the_least_time_then_the_fewest_tenants_then_the_first)
{
    struct admission_wish wish = memory(10 * GIB);

    start(3);
    wish.cap_milli_percent = 20000;
    CHECK_EQ(decide(&wish), 1 << 0);
    at.gpus[0].tenant_count = 2;
    at.gpus[1].tenant_count = at.gpus[2].tenant_count = 1;
    CHECK_EQ(decide(&wish), 1 << 1);
    at.gpus[2].reserved_milli_percent = 50000;
    CHECK_EQ(decide(&wish), 1 << 2);
    at.gpus[2].reserved_milli_percent = 90000; /* 20 % do not fit any more */
    CHECK_EQ(decide(&wish), 1 << 1);
}

TEST(who_is_guaranteed_nothing_goes_where_the_fewest_are)
{
    struct admission_wish wish = nothing();

    start(3);
    at.gpus[0].tenant_count = 2;
    at.gpus[1].tenant_count = 1;
    at.gpus[1].reserved_bytes = 80 * GIB; /* which does not matter to it */
    at.gpus[2].tenant_count = 1;
    CHECK_EQ(decide(&wish), 1 << 1);
    at.gpus[1].tenant_count = 3;
    CHECK_EQ(decide(&wish), 1 << 2);
}

TEST(a_gpu_that_cannot_be_used_is_not_chosen)
{
    struct admission_wish wish = memory(GIB);

    start(2);
    at.gpus[0].is_usable = false;
    CHECK_EQ(decide(&wish), 1 << 1);
    at.gpus[1].is_usable = false;
    CHECK_EQ(decide(&wish), -ENOSPC);
    CHECK(strstr(at.err.text, "cannot be used"));
    wish.gpu_mask = 1;
    wish.may_exceed = true; /* makes no lost GPU usable */
    CHECK_EQ(decide(&wish), -ENOSPC);
}

/* --- what fits --- */

TEST(memory_and_time_have_to_fit_to_the_last_byte)
{
    struct admission_wish wish = memory(30 * GIB);

    start(1);
    at.gpus[0].reserved_bytes = 50 * GIB;
    CHECK_EQ(decide(&wish), 1);
    wish.memory_bytes++;
    CHECK_EQ(decide(&wish), -ENOSPC);
    CHECK(strstr(at.err.text, "30.0 GiB"));
    wish = nothing();
    at.gpus[0].reserved_milli_percent = 69999;
    wish.cap_milli_percent = 30001;
    CHECK_EQ(decide(&wish), 1);
    wish.cap_milli_percent++;
    CHECK_EQ(decide(&wish), -ENOSPC);
}

TEST(who_may_exceed_may_but_not_what_a_card_has)
{
    struct admission_wish wish = memory(80 * GIB);

    start(1);
    at.gpus[0].reserved_bytes = 79 * GIB;
    CHECK_EQ(decide(&wish), -ENOSPC);
    wish.may_exceed = true;
    CHECK_EQ(decide(&wish), 1);
    wish.memory_bytes++;
    CHECK_EQ(decide(&wish), -EINVAL);
}

TEST(what_never_fits_does_not_wait_for_room)
{
    struct admission_wish wish = memory(81 * GIB);

    start(2);
    CHECK_EQ(decide(&wish), -EINVAL);
    CHECK(strstr(at.err.text, "memory"));
    wish.gpu_mask = 1;
    CHECK_EQ(decide(&wish), -EINVAL);
    wish = nothing();
    wish.gpu_mask = 1u << 7;
    CHECK_EQ(decide(&wish), -EINVAL);
    wish.gpu_mask = 1u << 7 | 1;
    CHECK_EQ(decide(&wish), -EINVAL);
    start(0);
    wish = nothing();
    CHECK_EQ(decide(&wish), -EINVAL);
}

TEST(all_that_were_named_have_to_do)
{
    struct admission_wish wish = memory(10 * GIB);

    start(3);
    wish.gpu_mask = 5;
    CHECK_EQ(decide(&wish), 5);
    at.gpus[2].reserved_bytes = 71 * GIB;
    CHECK_EQ(decide(&wish), -ENOSPC);
    CHECK(strstr(at.err.text, "GPU 2"));
}

TEST(a_part_of_the_card_is_a_part_of_each_card)
{
    struct admission_wish wish = nothing();

    start(2);
    at.gpus[1].memory_bytes = 40 * GIB;
    at.gpus[1].reserved_bytes = 21 * GIB;
    wish.memory_milli_percent = 50000;
    CHECK_EQ(decide(&wish), 1);
    wish.gpu_mask = 3;
    CHECK_EQ(decide(&wish), -ENOSPC);
    at.gpus[1].reserved_bytes = 20 * GIB;
    CHECK_EQ(decide(&wish), 3);
    wish.memory_milli_percent = 100001;
    CHECK_EQ(decide(&wish), -EINVAL);
}

TEST(the_whole_of_an_odd_card_fits_it)
{
    struct admission_wish wish = nothing();

    start(1);
    wish.memory_milli_percent = 100000;
    for (uint64_t odd = 0; odd < 100; odd++) {
        at.gpus[0].memory_bytes = (UINT64_C(1) << 53) + odd; /* beyond what a double holds */
        CHECK_EQ(decide(&wish), 1);
    }
}

/* --- who waits --- */

static uint32_t waited_for(void)
{
    uint32_t mask = 0;

    for (uint32_t i = 0; i < at.count; i++)
        mask |= (uint32_t)at.gpus[i].is_waited_for << i;
    return mask;
}

TEST(who_waits_for_any_keeps_a_place_on_one_alone)
{
    struct admission_wish wish = memory(60 * GIB);

    start(4);
    at.gpus[0].reserved_bytes = 50 * GIB;
    at.gpus[1].reserved_bytes = 30 * GIB; /* lacks 10 GiB */
    at.gpus[2].memory_bytes = 40 * GIB;   /* never */
    at.gpus[3].is_usable = false;
    admission_wait(at.gpus, at.count, &wish);
    CHECK_EQ(waited_for(), 2);
    admission_wait(at.gpus, at.count, &wish); /* a second one: elsewhere */
    CHECK_EQ(waited_for(), 3);
    admission_wait(at.gpus, at.count, &wish);
    CHECK_EQ(waited_for(), 3);
    CHECK_EQ(admission_possible(at.gpus, at.count, &wish), 11);
}

TEST(what_is_lacking_may_be_time)
{
    struct admission_wish wish = memory(10 * GIB);

    start(2);
    wish.cap_milli_percent = 60000;
    at.gpus[0].reserved_milli_percent = 90000;
    at.gpus[1].reserved_bytes = 75 * GIB;
    admission_wait(at.gpus, at.count, &wish);
    CHECK_EQ(waited_for(), 2);
}

TEST(who_waits_for_some_keeps_a_place_on_all_of_them)
{
    struct admission_wish wish = memory(60 * GIB);

    start(3);
    wish.gpu_mask = 5;
    admission_wait(at.gpus, at.count, &wish);
    CHECK_EQ(waited_for(), 5);
    wish.gpu_mask = 4;
    CHECK_EQ(decide(&wish), -ENOSPC);
    wish.may_exceed = true; /* takes no room that somebody waits for */
    CHECK_EQ(decide(&wish), 4);
}

/* --- numbers that cannot be --- */

TEST(reservations_beyond_the_card_leave_nothing)
{
    struct admission_wish wish = memory(1);

    start(1);
    at.gpus[0].reserved_bytes = UINT64_MAX;
    CHECK_EQ(decide(&wish), -ENOSPC);
    at.gpus[0].reserved_bytes = 0;
    at.gpus[0].reserved_milli_percent = UINT32_MAX;
    CHECK_EQ(decide(&wish), 1);
    wish.cap_milli_percent = 1;
    CHECK_EQ(decide(&wish), -ENOSPC);
    CHECK(admission_sum(UINT64_MAX - 1, 2) == UINT64_MAX);
    CHECK_EQ(admission_sum(1, 2), 3);
}

TEST(a_gpu_beyond_the_mask_is_never_chosen)
{
    struct admission_wish wish = nothing();

    start(2);
    at.gpus[0].nvml_index = 32;
    at.gpus[1].nvml_index = 31;
    CHECK_EQ((uint32_t)decide(&wish), 1u << 31);
    wish.gpu_mask = 1;
    CHECK_EQ(decide(&wish), -EINVAL); /* bit 0 is not that of index 32 */
    CHECK_EQ(admission_bit(32), 0);
    CHECK_EQ(admission_bit(31), 1u << 31);
}
