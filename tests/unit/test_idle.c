/*
 * The idle correction in a closed loop with a tenant that is alone on a GPU: the budget law gives
 * it cap x factor of the time on the engine, all of which the records call occupied; it works in a
 * part of it, and NVML says so each 200 ms, in whole percents and up to 100 ms late.
 */
#include "erl/idle.h"
#include "tests/harness.h"

#define MS          UINT64_C(1000000)
#define STEP_NS     (10 * MS)
#define SAMPLE_NS   (200 * MS)
#define NOTICE_NS   (70 * MS)
#define ALWAYS_BUSY 100000u

struct tenant {
    struct idle idle;
    uint64_t now_ns, sample_ns;
    uint32_t cap_milli_percent;
    double net_ns, used_ns;                /* in all */
    double sample_used_ns;                 /* at the begin of NVML's running sample */
    uint64_t stamp, next_stamp, notice_ns; /* next_stamp is seen from notice_ns on */
    uint32_t percent, next_percent, factor_milli;
};

static void begin(struct tenant *tenant, uint32_t cap_milli_percent)
{
    *tenant = (struct tenant){.now_ns = 77 * MS,
                              .cap_milli_percent = cap_milli_percent,
                              .factor_milli = IDLE_NONE,
                              .notice_ns = UINT64_MAX};
    idle_init(&tenant->idle);
}

static void run_nvml(struct tenant *tenant)
{
    if (tenant->now_ns >= tenant->notice_ns) {
        tenant->stamp = tenant->next_stamp;
        tenant->percent = tenant->next_percent;
        tenant->notice_ns = UINT64_MAX;
    }
    if (tenant->now_ns < tenant->sample_ns + SAMPLE_NS)
        return;
    tenant->next_percent =
        (uint32_t)((tenant->used_ns - tenant->sample_used_ns) * 100.0 / (double)SAMPLE_NS + 0.5);
    tenant->next_stamp = tenant->now_ns;
    tenant->notice_ns = tenant->now_ns + NOTICE_NS;
    tenant->sample_ns = tenant->now_ns;
    tenant->sample_used_ns = tenant->used_ns;
}

/* Lets time pass in which the tenant works for this part of its time on the engine. */
static void pass(struct tenant *tenant, uint64_t span_ns, uint32_t busy_milli_percent)
{
    for (uint64_t end_ns = tenant->now_ns + span_ns; tenant->now_ns < end_ns;) {
        double on = (double)tenant->cap_milli_percent / 1e5 * tenant->factor_milli / 1e3;
        struct idle_measure measure;

        on = on > 1.0 ? 1.0 : on;
        tenant->net_ns += on * (double)STEP_NS;
        tenant->used_ns += on * (double)STEP_NS * busy_milli_percent / 1e5;
        tenant->now_ns += STEP_NS;
        run_nvml(tenant);
        measure = (struct idle_measure){.now_ns = tenant->now_ns,
                                        .net_ns = (int64_t)tenant->net_ns,
                                        .busy_stamp = tenant->stamp,
                                        .busy_percent = tenant->percent,
                                        .cap_milli_percent = tenant->cap_milli_percent};
        tenant->factor_milli = idle_note(&tenant->idle, &measure);
    }
}

/* What it used of the next stretch of time, in percent. */
static double use_percent(struct tenant *tenant, uint64_t span_ns, uint32_t busy_milli_percent)
{
    double used_ns = tenant->used_ns;

    pass(tenant, span_ns, busy_milli_percent);
    return (tenant->used_ns - used_ns) * 100.0 / (double)span_ns;
}

static void check_near(double got, double wanted, double tolerance)
{
    CHECK(got >= wanted - tolerance);
    CHECK(got <= wanted + tolerance);
}

TEST(a_tenant_that_is_always_busy_gets_its_cap)
{
    const uint32_t caps[] = {1000, 5000, 10000, 30000, 50000, 80000, 95000, 100000};

    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        struct tenant tenant;

        begin(&tenant, caps[i]);
        check_near(use_percent(&tenant, 5000 * MS, ALWAYS_BUSY), caps[i] / 1e3, 0.1);
    }
}

/* As a program does that loads its libraries after making its context. */
TEST(a_tenant_that_begins_to_work_after_idling_is_at_its_cap_within_a_second)
{
    const uint32_t caps[] = {5000, 10000, 30000, 50000, 80000, 95000};

    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        struct tenant tenant;

        begin(&tenant, caps[i]);
        pass(&tenant, 3000 * MS, 0);
        pass(&tenant, 1000 * MS, ALWAYS_BUSY);
        check_near(use_percent(&tenant, 4000 * MS, ALWAYS_BUSY), caps[i] / 1e3, 3.0);
        check_near(use_percent(&tenant, 4000 * MS, ALWAYS_BUSY), caps[i] / 1e3, 0.1);
    }
}

TEST(a_tenant_that_idles_by_itself_comes_to_its_cap)
{
    struct tenant tenant;

    begin(&tenant, 50000);
    pass(&tenant, 2000 * MS, 60000);
    check_near(use_percent(&tenant, 5000 * MS, 60000), 50.0, 2.0);
    begin(&tenant, 10000);
    pass(&tenant, 4000 * MS, 20000);
    check_near(use_percent(&tenant, 5000 * MS, 20000), 10.0, 2.0);
}

TEST(a_tenant_that_wants_less_than_its_cap_gets_all_it_wants)
{
    struct tenant tenant;

    begin(&tenant, 50000);
    pass(&tenant, 3000 * MS, 30000);
    check_near(use_percent(&tenant, 5000 * MS, 30000), 30.0, 0.5);
}

TEST(bursts_after_idling_gain_little)
{
    struct tenant tenant;
    double used_percent = 0;

    begin(&tenant, 30000);
    for (int i = 0; i < 40; i++) {
        pass(&tenant, 300 * MS, 0);
        used_percent += use_percent(&tenant, 300 * MS, ALWAYS_BUSY) / 2;
    }
    CHECK(used_percent / 40 <= 30.0 + 3.0);
}

TEST(a_changed_cap_is_not_blamed_for_what_was_used_under_the_old_one)
{
    struct tenant tenant;

    begin(&tenant, 80000);
    pass(&tenant, 3000 * MS, ALWAYS_BUSY);
    tenant.cap_milli_percent = 20000;
    check_near(use_percent(&tenant, 1000 * MS, ALWAYS_BUSY), 20.0, 1.0);
    tenant.cap_milli_percent = 80000;
    check_near(use_percent(&tenant, 1000 * MS, ALWAYS_BUSY), 80.0, 1.0);
}

TEST(measures_that_cannot_be_leave_a_factor_within_its_bounds)
{
    const struct idle_measure measures[] = {
        {0, 0, 1, 50, 0},
        {UINT64_MAX, INT64_MAX, 2, UINT32_MAX, UINT32_MAX},
        {1, INT64_MIN, 3, 0, 1},
        {2, INT64_MAX, 4, 100, 1},
        {UINT64_MAX / 2, -1, 5, 0, 100000},
        {UINT64_MAX / 2 + 1, 0, 6, 0, 1},
    };
    struct idle idle;

    idle_init(&idle);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
            uint32_t factor_milli = idle_note(&idle, &measures[i]);

            CHECK(factor_milli >= 500);
            CHECK(factor_milli <= 100000 * IDLE_NONE);
        }
}
