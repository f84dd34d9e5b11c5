#include "tests/harness.h"

#include "ipc/message.h"
#include "supervisor/governor.h"
#include "supervisor/neighbours.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <string.h>
#include <sys/mman.h>

#define NOW  (UINT64_C(100) * 1000000000)
#define UUID "GPU-00000000-1111-2222-3333-444444444444"

static struct {
    struct governor governor;
    struct region_control own, pages[GOVERNOR_PEERS_MAX];
    const struct region_control *peers[GOVERNOR_PEERS_MAX];
    struct governor_input input;
    struct slices_plan plan;
} at;

static void fill_page(struct region_control *page, const char *name, uint32_t cap, uint32_t weight)
{
    struct region_facts facts = {.cap_milli_percent = cap,
                                 .weight = weight,
                                 .priority = REGION_NORMAL,
                                 .group_count = 1,
                                 .busy_group_count = 1,
                                 .is_active = 1,
                                 .updated_ns = NOW};

    memset(page, 0, sizeof(*page));
    page->gpu_count = 1;
    page->gpus[0].is_allowed = 1;
    (void)str_format(page->name, sizeof(page->name), "%s", name);
    (void)str_format(page->gpus[0].uuid, sizeof(page->gpus[0].uuid), "%s", UUID);
    region_write_facts(&page->gpus[0], &facts);
}

static void start(uint32_t cap, size_t peers)
{
    memset(&at, 0, sizeof(at));
    fill_page(&at.own, "own", cap, 1);
    at.governor.control = &at.own;
    at.governor.census.busy_group_count = 1;
    at.governor.census.active_until_ns = NOW + 1;
    for (size_t i = 0; i < peers; i++) {
        fill_page(&at.pages[i], "peer", SLICES_NO_CAP, 1);
        at.pages[i].name[0] = (char)('A' + i);
        at.peers[i] = &at.pages[i];
    }
    at.input = (struct governor_input){
        .quota = {cap, 1, REGION_NORMAL, false}, .peers = at.peers, .peer_count = peers};
}

static bool plan(void)
{
    return neighbours_plan(&at.plan, &at.governor, &at.input, NOW);
}

static struct region_facts read_facts(size_t peer)
{
    struct region_facts facts;

    CHECK(region_read_facts(&at.pages[peer].gpus[0], &facts));
    return facts;
}

static void write_facts(size_t peer, const struct region_facts *facts)
{
    region_write_facts(&at.pages[peer].gpus[0], facts);
}

TEST(alone_nobody_is_active_beside_it)
{
    start(30000, 0);
    CHECK(!plan());
    CHECK_EQ(at.plan.cap_milli_percent, 30000);
}

TEST(a_peer_on_the_same_gpu_counts)
{
    start(80000, 1);
    fill_page(&at.pages[0], "peer", 80000, 3);
    CHECK(plan());
    CHECK_EQ(at.plan.cap_milli_percent, 25000);
}

TEST(a_peer_elsewhere_or_without_groups_or_not_allowed_does_not_count)
{
    struct region_facts facts;

    start(80000, 3);
    for (size_t i = 0; i < 3; i++)
        fill_page(&at.pages[i], "peer", 80000, 3);
    at.pages[0].gpus[0].uuid[5] = 'x';
    at.pages[1].gpus[0].is_allowed = 0;
    facts = read_facts(2);
    facts.group_count = 0;
    write_facts(2, &facts);
    CHECK(!plan());
    CHECK_EQ(at.plan.cap_milli_percent, 80000);
}

TEST(a_peer_that_is_stopped_counts_as_one_without_a_cap)
{
    struct region_facts facts;

    start(80000, 1);
    fill_page(&at.pages[0], "peer", 80000, 3);
    facts = read_facts(0);
    facts.updated_ns = NOW - UINT64_C(1000000001);
    write_facts(0, &facts);
    CHECK(plan());
    CHECK_EQ(at.plan.cap_milli_percent, 80000);
}

TEST(a_peer_that_died_while_it_wrote_does_not_count_and_nobody_waits_for_it)
{
    start(80000, 1);
    fill_page(&at.pages[0], "peer", 80000, 3);
    add_relaxed(&at.pages[0].gpus[0].sequence, 1);
    CHECK(!plan());
    CHECK_EQ(at.plan.cap_milli_percent, 80000);
}

static void check_plan(void)
{
    (void)plan();
    CHECK(at.plan.cap_milli_percent >= 1 && at.plan.cap_milli_percent <= 30000);
    CHECK(at.plan.slice_us >= 50 && at.plan.slice_us <= 100000);
    CHECK(at.plan.window_ns >= 20000000 && at.plan.window_ns <= UINT64_C(1000000000));
    CHECK(at.plan.phase_ns < at.plan.window_ns);
}

TEST(whatever_a_peer_says_the_plan_is_one)
{
    static const uint32_t values[] = {0, 1, 3, 1000, 1001, 100001, INT32_MAX, UINT32_MAX};
    const size_t count = sizeof(values) / sizeof(values[0]);

    for (size_t i = 0; i < count * count; i++) {
        uint32_t a = values[i % count], b = values[i / count];
        struct region_facts facts = {a, b, a, 1, b, a, b, a, b, a, UINT64_MAX - a};

        start(30000, 2);
        write_facts(0, &facts);
        facts = (struct region_facts){b, a, b, UINT32_MAX, a, b, a, b, a, b, b};
        write_facts(1, &facts);
        check_plan();
    }
}

TEST(a_page_of_nonsense_is_read_within_its_bounds)
{
    uint64_t random = 88172645463325252u;

    for (int round = 0; round < 3000; round++) {
        start(30000, 1);
        for (size_t i = 0; i < sizeof(at.pages[0]) / sizeof(random); i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            memcpy((char *)&at.pages[0] + i * sizeof(random), &random, sizeof(random));
        }
        if (round % 2) /* so that what is behind it is looked at */
            memcpy(at.pages[0].gpus[0].uuid, UUID, sizeof(UUID));
        check_plan();
    }
}

TEST(names_without_an_end_are_read_within_their_bounds)
{
    const size_t size = 4096;
    char *memory = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct region_control *page;

    CHECK(memory != MAP_FAILED && mprotect(memory + size, size, PROT_NONE) == 0);
    start(30000, 1);
    /* Nothing in it is zero, and behind it there is nothing. */
    page = (struct region_control *)(memory + size - sizeof(*page));
    memset(page, 'G', sizeof(*page));
    memcpy(page->gpus[0].uuid, UUID, sizeof(UUID));
    store_relaxed(&page->gpus[0].sequence, 0x02020202);
    at.peers[0] = page;
    check_plan();
    (void)munmap(memory, 2 * size);
}

TEST(what_lies_behind_a_name_without_an_end_is_no_part_of_it)
{
    struct slices_plan first;

    start(30000, 1);
    fill_page(&at.pages[0], "peer", 20000, 1); /* capped: whose phase is first goes by the names */
    memset(at.pages[0].name, 'x', sizeof(at.pages[0].name));
    (void)plan();
    first = at.plan;
    for (uint32_t i = 1; i <= 64; i++) {
        store_relaxed(&at.pages[0].on_loss, i * 0x01010101);
        (void)plan();
        CHECK_EQ(memcmp(&at.plan, &first, sizeof(first)), 0);
    }
}

TEST(more_peers_than_a_plan_holds_are_no_harm)
{
    start(30000, GOVERNOR_PEERS_MAX);
    check_plan();
}

TEST(our_own_quota_is_bounded_as_well)
{
    start(30000, 1);
    at.input.quota = (struct controller_quota){0, 0, REGION_HIGH, false};
    check_plan();
    at.input.quota = (struct controller_quota){UINT32_MAX, UINT32_MAX, REGION_LOW, false};
    (void)plan();
    CHECK_EQ(at.plan.cap_milli_percent, SLICES_NO_CAP);
}

/* --- as they are described --- */

TEST(neighbours_are_described_with_their_names_and_facts)
{
    struct region_facts facts = {.cap_milli_percent = 20000,
                                 .weight = 5,
                                 .priority = REGION_HIGH,
                                 .group_count = 1,
                                 .busy_group_count = 1,
                                 .is_active = 1,
                                 .used_milli_percent = 19000,
                                 .updated_ns = clock_now_ns()};
    struct message_explained explained = {.uuid = UUID};

    start(30000, 2);
    write_facts(0, &facts);
    facts.used_milli_percent = UINT32_MAX;
    write_facts(1, &facts);
    memset(at.pages[0].name, 'n', sizeof(at.pages[0].name)); /* without an end */
    neighbours_describe(&explained, at.peers, at.input.peer_count);
    CHECK_EQ(explained.tenant_count, 3);
    CHECK_EQ(explained.neighbour_count, 2);
    CHECK_EQ(strlen(explained.neighbours[0].name), sizeof(explained.neighbours[0].name) - 1);
    CHECK_EQ(explained.neighbours[0].cap_milli_percent, 20000);
    CHECK_EQ(explained.neighbours[0].weight, 5);
    CHECK_EQ(explained.neighbours[0].priority, REGION_HIGH);
    CHECK_EQ(explained.neighbours[0].used_milli_percent, 19000);
    CHECK_EQ(explained.neighbours[1].used_milli_percent, UINT32_MAX);
}

TEST(of_more_neighbours_than_a_message_holds_the_number_is_told)
{
    struct message_explained explained = {.uuid = UUID};
    struct region_facts facts = {.cap_milli_percent = 1000, .weight = 1, .group_count = 1};

    start(30000, MESSAGE_NEIGHBOURS_MAX + 3);
    for (size_t i = 0; i < MESSAGE_NEIGHBOURS_MAX + 3; i++)
        write_facts(i, &facts);
    neighbours_describe(&explained, at.peers, at.input.peer_count);
    CHECK_EQ(explained.tenant_count, MESSAGE_NEIGHBOURS_MAX + 4);
    CHECK_EQ(explained.neighbour_count, MESSAGE_NEIGHBOURS_MAX);
}
