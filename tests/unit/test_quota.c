#include "tests/harness.h"

#include "cuda-limiter/quota.h"

#include "cuda-limiter/guest.h"
#include "utils/atomics.h"
#include "utils/shm.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define MIB UINT64_C(1048576)

/* A tenant's region as its supervisor has it. */
struct side {
    struct region_control *control;
    struct ledger *ledger;
    struct ledger_row row;
    int control_fd, ledger_fd;
};

bool guest_starts_closed(void)
{
    return false;
}

static struct side make_side(uint32_t device_instance, uint64_t limit_bytes)
{
    struct side side;
    void *memory;

    side.control_fd = shm_create(&memory, "control", sizeof(*side.control), true, NULL);
    CHECK(side.control_fd >= 0);
    side.control = memory;
    side.control->magic = REGION_MAGIC;
    side.control->version = REGION_VERSION;
    side.control->length = sizeof(*side.control);
    side.control->gpu_count = 2;
    side.control->gpus[0].device_instance = device_instance + 1;
    side.control->gpus[1].device_instance = device_instance;
    store_relaxed(&side.control->gpus[0].memory_limit_bytes, REGION_NO_LIMIT);
    store_relaxed(&side.control->gpus[1].memory_limit_bytes, limit_bytes);
    side.ledger_fd = shm_create(&memory, "ledger", ledger_size(), false, NULL);
    CHECK(side.ledger_fd >= 0);
    side.ledger = ledger_init(memory);
    CHECK_EQ(ledger_attach(side.ledger, getpid(), 1, &side.row), 0);
    return side;
}

static void end_side(struct side *side)
{
    shm_unmap(side->control, sizeof(*side->control));
    shm_unmap(side->ledger, ledger_size());
    (void)close(side->control_fd);
    (void)close(side->ledger_fd);
}

/* What WELCOME does; the quota takes the copies. */
static void join(const struct side *side)
{
    CHECK_EQ(quota_join(fcntl(side->control_fd, F_DUPFD_CLOEXEC, 0),
                        fcntl(side->ledger_fd, F_DUPFD_CLOEXEC, 0), &side->row),
             0);
}

static struct port_memory get(uint32_t device_instance)
{
    struct port_memory memory;

    quota_get_memory(device_instance, &memory);
    return memory;
}

TEST(without_a_region_and_for_a_card_that_is_not_in_it_nothing_is_limited)
{
    static const uint32_t others[] = {0, 3, 31, 32, 33, UINT32_MAX};
    struct side side = make_side(1, 8 * MIB);

    CHECK(get(1).limit_bytes == REGION_NO_LIMIT);
    join(&side);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK(get(others[i]).limit_bytes == REGION_NO_LIMIT);
    CHECK_EQ(get(1).limit_bytes, 8 * MIB);
    quota_forget();
    end_side(&side);
}

TEST(figures_are_those_of_this_instant)
{
    struct side side = make_side(1, 8 * MIB);

    join(&side);
    CHECK_EQ(get(1).used_bytes, 0);
    CHECK(quota_reserve(1, 3 * MIB));
    CHECK_EQ(get(1).used_bytes, 3 * MIB);
    store_relaxed(&side.control->gpus[1].memory_limit_bytes, 5 * MIB);
    CHECK_EQ(get(1).limit_bytes, 5 * MIB);
    quota_release(1, 3 * MIB);
    CHECK_EQ(get(1).used_bytes, 0);
    quota_forget();
    end_side(&side);
}

TEST(the_same_region_again_stays_and_another_one_takes_its_place)
{
    struct side side = make_side(1, 8 * MIB), other = make_side(4, 2 * MIB);
    const struct region_control *control;

    join(&side);
    control = quota_control();
    CHECK(quota_reserve(1, 3 * MIB));
    join(&side);
    CHECK(quota_control() == control);
    CHECK_EQ(get(1).limit_bytes, 8 * MIB);
    CHECK_EQ(get(1).used_bytes, 3 * MIB);
    join(&other);
    CHECK(get(1).limit_bytes == REGION_NO_LIMIT);
    CHECK_EQ(get(4).limit_bytes, 2 * MIB);
    quota_release(1, 3 * MIB);
    quota_forget();
    end_side(&side);
    end_side(&other);
}

TEST(a_child_has_no_limit_until_it_has_joined_itself)
{
    struct side side = make_side(1, 8 * MIB);

    join(&side);
    CHECK(quota_reserve(1, 3 * MIB));
    quota_forget();
    CHECK(!quota_is_joined());
    CHECK(get(1).limit_bytes == REGION_NO_LIMIT);
    join(&side);
    CHECK_EQ(get(1).limit_bytes, 8 * MIB);
    CHECK_EQ(get(1).used_bytes, 0); /* the same row: what it held was the parent's */
    quota_forget();
    end_side(&side);
}

static _Atomic int is_done;

static void *read_all_the_time(void *nothing)
{
    while (!load_relaxed(&is_done)) {
        struct port_memory memory = get(1);

        /* The one has 1 MiB of 8, the other 2 of 16. */
        if (memory.limit_bytes != REGION_NO_LIMIT)
            CHECK(memory.limit_bytes == memory.used_bytes * 8);
    }
    return nothing;
}

TEST(whoever_reads_while_regions_change_sees_one_of_them)
{
    struct side sides[2] = {make_side(1, 8 * MIB), make_side(1, 16 * MIB)};
    struct ledger_row others[2];
    pthread_t reader;

    /* Another process's, so that joining does not change it. */
    for (uint32_t i = 0; i < 2; i++) {
        CHECK_EQ(ledger_attach(sides[i].ledger, 1, 1, &others[i]), 0);
        CHECK_EQ(ledger_reserve(sides[i].ledger, &others[i], 1, (i + 1) * MIB, REGION_NO_LIMIT), 0);
    }
    CHECK_EQ(pthread_create(&reader, NULL, read_all_the_time, NULL), 0);
    for (int i = 0; i < 400; i++) {
        join(&sides[i & 1]);
        if (i % 10 == 0)
            quota_forget();
    }
    store_relaxed(&is_done, 1);
    CHECK_EQ(pthread_join(reader, NULL), 0);
    quota_forget();
    end_side(&sides[0]);
    end_side(&sides[1]);
}
