#include "tests/harness.h"

#include "hypervisor/event_log.h"
#include "utils/atomics.h"
#include "utils/str.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define READERS 4
#define ADDED   20000

static struct event_log *events;
static uint32_t heard;
static _Atomic uint32_t is_over;

static void start(void)
{
    struct err err;

    CHECK_OK(event_log_new(&events, 0, &err), &err);
    heard = 0;
}

static void add(uint64_t value)
{
    struct event event = {.kind = EVENT_TENANT_CHANGED, .pid = (int32_t)value};

    (void)str_format(event.text, sizeof(event.text), "%llu", (unsigned long long)value);
    event_log_add(events, &event);
}

TEST(events_are_numbered_from_one_and_read_in_order)
{
    struct event got[8];

    start();
    CHECK_EQ(event_log_last(events), 0);
    CHECK_EQ(event_log_read(events, 0, got, 8), 0);
    for (uint64_t i = 1; i <= 5; i++)
        add(i);
    CHECK_EQ(event_log_last(events), 5);
    CHECK_EQ(event_log_read(events, 0, got, 8), 5);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(got[i].number, i + 1);
        CHECK_EQ(got[i].pid, i + 1);
        CHECK(got[i].unix_ms > 0);
    }
    CHECK_EQ(event_log_read(events, 3, got, 1), 1);
    CHECK_EQ(got[0].number, 4);
    CHECK_EQ(event_log_read(events, 5, got, 8), 0);
    CHECK_EQ(event_log_read(events, 0, got, 0), 0);
    event_log_free(events);
}

TEST(a_reader_that_falls_behind_the_ring_is_told_so)
{
    struct event got[1];

    start();
    for (uint64_t i = 1; i <= EVENT_LOG_LENGTH; i++)
        add(i);
    CHECK_EQ(event_log_read(events, 0, got, 1), 1); /* all are there */
    CHECK_EQ(got[0].number, 1);
    add(EVENT_LOG_LENGTH + 1);
    CHECK_EQ(event_log_read(events, 0, got, 1), -ESTALE);
    CHECK_EQ(event_log_read(events, 1, got, 1), 1);
    CHECK_EQ(got[0].number, 2);
    event_log_free(events);
}

TEST(numbers_of_a_log_before_are_smaller_and_lost)
{
    struct event got[1];
    struct err err;
    uint64_t former;

    CHECK_OK(event_log_new(&events, 1764000000000, &err), &err);
    for (uint64_t i = 1; i <= 2000; i++)
        add(i);
    former = event_log_last(events);
    event_log_free(events);
    CHECK_OK(event_log_new(&events, 1764000000005, &err), &err);
    CHECK_EQ(event_log_before(events), event_log_last(events));
    CHECK_EQ(event_log_read(events, former, got, 1), -ESTALE);
    add(1);
    CHECK_EQ(event_log_read(events, former, got, 1), -ESTALE);
    CHECK_EQ(event_log_read(events, 0, got, 1), -ESTALE);
    CHECK_EQ(event_log_read(events, event_log_before(events), got, 1), 1);
    CHECK(got[0].number > former);
    CHECK(got[0].number < UINT64_C(1) << 53);
    event_log_free(events);
}

TEST(a_number_that_is_not_yet_there_has_nothing_after_it)
{
    struct event got[1];

    start();
    add(1);
    CHECK_EQ(event_log_read(events, 2, got, 1), 0);
    CHECK_EQ(event_log_read(events, UINT64_MAX, got, 1), 0);
    event_log_free(events);
}

static void listen_to(void *context)
{
    *(uint32_t *)context += 1;
    CHECK(event_log_last(events) > 0); /* it holds no lock that this would wait for */
}

TEST(a_listener_hears_of_each_until_it_is_gone)
{
    start();
    event_log_listen(events, listen_to, &heard);
    add(1);
    add(2);
    CHECK_EQ(heard, 2);
    event_log_listen(events, NULL, NULL);
    add(3);
    CHECK_EQ(heard, 2);
    event_log_free(events);
    event_log_free(NULL);
}

TEST(each_kind_has_its_word)
{
    for (int i = 0; i < EVENT_KIND_END; i++) {
        CHECK(event_kind_word((enum event_kind)i) != NULL);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(event_kind_word((enum event_kind)i),
                         event_kind_word((enum event_kind)j)) != 0);
    }
    CHECK_STR_EQ(event_kind_word(EVENT_KIND_END), "unknown");
}

/* Reads what there is; what it reads is whole and in order, or it is told that it was too slow. */
static void *read_all(void *context)
{
    uint64_t after = 0, *ret_mistakes = context;
    bool is_last;
    int count;

    do {
        struct event got[16];

        is_last = load_relaxed(&is_over);
        count = event_log_read(events, after, got, 16);
        if (count == -ESTALE)
            after = event_log_last(events);
        for (int i = 0; i < count; i++) {
            char text[24];

            (void)str_format(text, sizeof(text), "%llu", (unsigned long long)got[i].number);
            *ret_mistakes += got[i].number != ++after || !str_equals(text, got[i].text);
        }
    } while (!is_last || count > 0);
    return NULL;
}

TEST(readers_on_other_threads_read_whole_events_while_some_are_added)
{
    pthread_t threads[READERS];
    uint64_t mistakes[READERS] = {0};

    start();
    store_relaxed(&is_over, 0);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, read_all, &mistakes[i]), 0);
    for (uint64_t i = 1; i <= ADDED; i++)
        add(i);
    store_relaxed(&is_over, 1);
    for (int i = 0; i < READERS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_EQ(mistakes[i], 0);
    }
    event_log_free(events);
}
