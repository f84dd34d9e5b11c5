#include "ipc/ledger.h"

#include "tests/harness.h"
#include "utils/atomics.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PAGE     LEDGER_PAGE_BYTES
#define NO_LIMIT REGION_NO_LIMIT

static struct ledger *make_ledger(void)
{
    void *memory = calloc(1, ledger_size());

    if (!memory)
        abort();
    return ledger_init(memory);
}

static struct ledger_row attach(struct ledger *ledger, pid_t pid)
{
    struct ledger_row row = {0};

    CHECK_EQ(ledger_attach(ledger, pid, 1000, &row), 0);
    return row;
}

static void check_sound(struct ledger *ledger)
{
    struct err err = {0};

    CHECK_OK(ledger_check(ledger, &err), &err);
}

TEST(bytes_are_taken_up_to_the_limit_and_not_one_page_beyond)
{
    struct ledger *ledger = make_ledger();
    struct ledger_row row = attach(ledger, 1);

    CHECK_EQ(ledger_reserve(ledger, &row, 0, 3 * PAGE, 4 * PAGE), 0);
    CHECK_EQ(ledger_reserve(ledger, &row, 0, 2 * PAGE, 4 * PAGE), -ENOMEM);
    CHECK_EQ(ledger_reserve(ledger, &row, 0, 2 * PAGE, 5 * PAGE - 1), -ENOMEM);
    CHECK_EQ(ledger_used(ledger, 0), 3 * PAGE);
    CHECK_EQ(ledger_reserve(ledger, &row, 0, PAGE, 4 * PAGE), 0);
    CHECK_EQ(ledger_used(ledger, 0), 4 * PAGE);
    CHECK_EQ(ledger_row_used(ledger, row.index, 0), 4 * PAGE);
    CHECK_EQ(ledger_release(ledger, &row, 0, 4 * PAGE), 0);
    CHECK_EQ(ledger_used(ledger, 0), 0);
    check_sound(ledger);
    free(ledger);
}

TEST(a_limit_below_what_is_used_refuses_more_and_lets_go)
{
    struct ledger *ledger = make_ledger();
    struct ledger_row row = attach(ledger, 1);

    CHECK_EQ(ledger_reserve(ledger, &row, 3, 8 * PAGE, NO_LIMIT), 0);
    CHECK_EQ(ledger_reserve(ledger, &row, 3, PAGE, 2 * PAGE), -ENOMEM);
    CHECK_EQ(ledger_release(ledger, &row, 3, PAGE), 0);
    CHECK_EQ(ledger_used(ledger, 3), 7 * PAGE);
    free(ledger);
}

TEST(slots_are_counted_apart)
{
    struct ledger *ledger = make_ledger();
    struct ledger_row row = attach(ledger, 1);

    for (uint32_t slot = 0; slot < LEDGER_SLOTS_MAX; slot++)
        CHECK_EQ(ledger_reserve(ledger, &row, slot, (slot + 1) * PAGE, NO_LIMIT), 0);
    CHECK_EQ(ledger_used(ledger, 0), 1 * PAGE);
    CHECK_EQ(ledger_used(ledger, 15), 16 * PAGE);
    CHECK_EQ(ledger_row_used(ledger, row.index, 7), 8 * PAGE);
    CHECK_EQ(ledger_release(ledger, &row, 0, 2 * PAGE), -ERANGE);
    check_sound(ledger);
    free(ledger);
}

TEST(what_makes_no_sense_is_refused)
{
    struct ledger *ledger = make_ledger();
    struct ledger_row row = attach(ledger, 1);
    struct ledger_row far = {.index = LEDGER_ROWS_MAX, .stamp = row.stamp};
    struct ledger_row old = {.index = row.index, .stamp = row.stamp + 1};

    CHECK_EQ(ledger_reserve(ledger, &row, LEDGER_SLOTS_MAX, PAGE, NO_LIMIT), -EINVAL);
    CHECK_EQ(ledger_reserve(ledger, &row, 0, PAGE + 1, NO_LIMIT), -EINVAL);
    CHECK_EQ(ledger_reserve(ledger, &row, 0, UINT64_MAX - PAGE + 1, NO_LIMIT), -ENOMEM);
    CHECK_EQ(ledger_reserve(ledger, &far, 0, PAGE, NO_LIMIT), -ESTALE);
    CHECK_EQ(ledger_reserve(ledger, &old, 0, PAGE, NO_LIMIT), -ESTALE);
    CHECK_EQ(ledger_release(ledger, &row, 0, PAGE), -ERANGE);
    CHECK_EQ(ledger_release(ledger, &row, 0, 1), -EINVAL);
    CHECK_EQ(ledger_release(ledger, &old, 0, PAGE), -ESTALE);
    CHECK_EQ(ledger_used(ledger, LEDGER_SLOTS_MAX), 0);
    CHECK_EQ(ledger_row_used(ledger, LEDGER_ROWS_MAX, 0), 0);
    CHECK_EQ(ledger_used(ledger, 0), 0);
    free(ledger);
}

TEST(the_largest_total_fits_and_a_page_more_does_not)
{
    struct ledger *ledger = make_ledger();
    struct ledger_row row = attach(ledger, 1);

    CHECK_EQ(ledger_reserve(ledger, &row, 0, LEDGER_TOTAL_MAX, NO_LIMIT), 0);
    CHECK_EQ(ledger_reserve(ledger, &row, 0, PAGE, NO_LIMIT), -ENOMEM);
    CHECK_EQ(ledger_used(ledger, 0), LEDGER_TOTAL_MAX);
    CHECK_EQ(ledger_release(ledger, &row, 0, LEDGER_TOTAL_MAX), 0);
    CHECK_EQ(ledger_used(ledger, 0), 0);
    free(ledger);
}

TEST(a_row_cannot_give_back_what_another_holds)
{
    struct ledger *ledger = make_ledger();
    struct ledger_row a = attach(ledger, 1), b = attach(ledger, 2);

    CHECK_EQ(ledger_reserve(ledger, &a, 0, 5 * PAGE, NO_LIMIT), 0);
    CHECK_EQ(ledger_release(ledger, &b, 0, PAGE), -ERANGE);
    CHECK_EQ(ledger_used(ledger, 0), 5 * PAGE);
    free(ledger);
}

TEST(a_reaped_row_gives_back_its_bytes_alone_and_its_old_handle_is_stale)
{
    struct ledger *ledger = make_ledger();
    struct ledger_row a = attach(ledger, 1), b = attach(ledger, 2), again;

    CHECK_EQ(ledger_reserve(ledger, &a, 0, 5 * PAGE, NO_LIMIT), 0);
    CHECK_EQ(ledger_reserve(ledger, &b, 0, 2 * PAGE, NO_LIMIT), 0);
    CHECK_EQ(ledger_reserve(ledger, &a, 9, PAGE, NO_LIMIT), 0);
    CHECK_EQ(ledger_reap(ledger, &a), 0);
    CHECK_EQ(ledger_used(ledger, 0), 2 * PAGE);
    CHECK_EQ(ledger_used(ledger, 9), 0);
    CHECK_EQ(ledger_reap(ledger, &a), -ESTALE);
    again = attach(ledger, 3);
    CHECK_EQ(again.index, a.index);
    CHECK(again.stamp != a.stamp);
    CHECK_EQ(ledger_reserve(ledger, &a, 0, PAGE, NO_LIMIT), -ESTALE);
    CHECK_EQ(ledger_reap(ledger, &a), -ESTALE);
    CHECK_EQ(ledger_row_used(ledger, again.index, 0), 0);
    check_sound(ledger);
    free(ledger);
}

TEST(every_row_can_be_had_once_and_tells_its_owner)
{
    struct ledger *ledger = make_ledger();
    struct ledger_owner owner;
    struct ledger_row row = {0}, none = {0};

    CHECK(!ledger_get_owner(ledger, 0, &owner));
    for (uint32_t i = 0; i < LEDGER_ROWS_MAX; i++) {
        CHECK_EQ(ledger_attach(ledger, (pid_t)(100 + i), 7 * i, &row), 0);
        CHECK_EQ(row.index, i);
    }
    CHECK_EQ(ledger_attach(ledger, 1, 1, &none), -EAGAIN);
    CHECK_EQ(none.stamp, 0);
    CHECK(ledger_get_owner(ledger, 255, &owner));
    CHECK_EQ(owner.pid, 355);
    CHECK_EQ(owner.start_time, 1785);
    CHECK_EQ(owner.row.stamp, row.stamp);
    CHECK(!ledger_get_owner(ledger, LEDGER_ROWS_MAX, &owner));
    CHECK_EQ(ledger_reap(ledger, &row), 0);
    CHECK(!ledger_get_owner(ledger, 255, &owner));
    free(ledger);
}

TEST(a_ledger_of_another_kind_is_refused_with_words)
{
    struct ledger *ledger = make_ledger(), *opened = NULL;
    struct err err = {0};
    uint32_t *words = (void *)ledger;

    CHECK_OK(ledger_open(&opened, ledger, &err), &err);
    CHECK(opened == ledger);
    for (int i = 0; i < 3; i++) {
        words[i]++;
        CHECK_EQ(ledger_open(&opened, ledger, &err), -EPROTO);
        CHECK_EQ(ledger_check(ledger, &err), -EPROTO);
        CHECK(strstr(err.text, "ledger") != NULL);
        words[i]--;
    }
    check_sound(ledger);
    free(ledger);
}

/* A small generator of our own: the same numbers everywhere. */
static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void use_everything(struct ledger *ledger)
{
    struct ledger_owner owner;
    struct ledger_row row;
    struct err err;

    (void)!ledger_check(ledger, &err);
    for (uint32_t i = 0; i < 8; i++) {
        (void)ledger_row_used(ledger, i, i);
        if (!ledger_get_owner(ledger, i, &owner))
            continue;
        (void)!ledger_reserve(ledger, &owner.row, i, PAGE, NO_LIMIT);
        (void)!ledger_release(ledger, &owner.row, i, PAGE);
        (void)!ledger_reap(ledger, &owner.row);
    }
    (void)!ledger_attach(ledger, 1, 1, &row);
}

TEST(garbage_in_the_ledger_neither_crashes_nor_hangs_who_reads_it)
{
    uint64_t seed = 20240607;
    int rounds = harness_is_full() ? 1000 : 30;
    struct ledger *ledger = make_ledger();
    uint64_t *words = (void *)ledger;

    for (int round = 0; round < rounds; round++) {
        for (size_t i = 2; i < ledger_size() / sizeof(*words); i++)
            words[i] = next_random(&seed) << 32 ^ next_random(&seed);
        /* An honest claim mask: threads that never end a call are another test. */
        for (uint32_t i = 0; i < 8; i++)
            words[(64 + 16 * 64 + i * 1216 + 24) / sizeof(*words)] = 0;
        use_everything(ledger);
    }
    free(ledger);
}

TEST(a_total_that_is_not_the_sum_of_the_rows_is_found)
{
    struct ledger *ledger = make_ledger();
    struct ledger_row row = attach(ledger, 1);
    uint64_t *words = (void *)ledger;
    struct err err = {0};

    CHECK_EQ(ledger_reserve(ledger, &row, 2, 5 * PAGE, NO_LIMIT), 0);
    words[(64 + 2 * 64) / sizeof(*words)] -= 1;
    CHECK_EQ(ledger_check(ledger, &err), -EPROTO);
    CHECK_STR_EQ(err.text, "the ledger's total of GPU slot 2 is not its rows' sum");
    CHECK_EQ(ledger_reap(ledger, &row), 0);
    CHECK_EQ(ledger_used(ledger, 2), 0);
    check_sound(ledger);
    free(ledger);
}

#define THREADS 12 /* more than a row has intents */

struct team {
    struct ledger *ledger;
    struct ledger_row row;
    _Atomic uint64_t holding;
    _Atomic int failures, running;
    uint64_t limit_bytes;
};

static void check_never_over(struct team *team, uint64_t bytes)
{
    uint64_t holding = add_ordered(&team->holding, bytes) + bytes;

    if (holding > team->limit_bytes)
        (void)add_ordered(&team->failures, 1);
}

static void *take_and_give(void *argument)
{
    struct team *team = argument;
    uint64_t state = (uint64_t)(uintptr_t)&state;

    for (int i = 0; i < 3000; i++) {
        uint64_t bytes = (1 + next_random(&state) % 8) * PAGE;
        int rc = ledger_reserve(team->ledger, &team->row, 1, bytes, team->limit_bytes);

        if (rc == -ENOMEM || rc == -EBUSY) /* busy: the others were in it and did not run */
            continue;
        if (rc != 0)
            (void)add_ordered(&team->failures, 1);
        check_never_over(team, bytes);
        (void)add_ordered(&team->holding, 0 - bytes);
        while ((rc = ledger_release(team->ledger, &team->row, 1, bytes)) == -EBUSY)
            ;
        if (rc != 0)
            (void)add_ordered(&team->failures, 1);
    }
    (void)add_ordered(&team->running, -1);
    return NULL;
}

TEST(threads_of_one_process_share_a_row_and_never_exceed_the_limit)
{
    struct team team = {.ledger = make_ledger(), .limit_bytes = 24 * PAGE, .running = THREADS};
    pthread_t threads[THREADS];
    struct err err = {0};

    team.row = attach(team.ledger, 1);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, take_and_give, &team), 0);
    while (load_ordered(&team.running)) {
        int rc = ledger_check(team.ledger, &err);

        CHECK(rc == 0 || rc == -EAGAIN);
        CHECK(ledger_used(team.ledger, 1) <= team.limit_bytes);
        CHECK(ledger_row_used(team.ledger, team.row.index, 1) <= team.limit_bytes);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(load_ordered(&team.failures), 0);
    CHECK_EQ(ledger_used(team.ledger, 1), 0);
    check_sound(team.ledger);
    free(team.ledger);
}

TEST(a_row_whose_threads_never_end_their_calls_refuses_after_a_second)
{
    struct ledger *ledger = make_ledger();
    struct ledger_row row = attach(ledger, 1);
    uint64_t *words = (void *)ledger;

    words[(64 + 16 * 64 + 24) / sizeof(*words)] = 0xff;
    CHECK_EQ(ledger_reserve(ledger, &row, 0, PAGE, NO_LIMIT), -EBUSY);
    CHECK_EQ(ledger_used(ledger, 0), 0);
    CHECK_EQ(ledger_reap(ledger, &row), 0); /* as where they were killed */
    row = attach(ledger, 2);
    CHECK_EQ(ledger_reserve(ledger, &row, 0, PAGE, NO_LIMIT), 0);
    free(ledger);
}
