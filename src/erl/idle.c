#include "erl/idle.h"

#define WHOLE           INT64_C(100000) /* milli-percent */
#define AGREES          INT64_C(1500)   /* milli-percent: NVML counts in whole percents, and late */
#define TOLERANCE       INT64_C(2000)   /* milli-percent above the cap that are not overrun */
#define FACTOR_LEAST    INT64_C(500)
#define OVERRUN_MOST_NS INT64_C(200000000)
#define SPAN_MOST_NS    UINT64_C(2000000000) /* a longer gap is no sample's time */
#define SAMPLES_LATE    2u                   /* seen after an instant, of a time before it */

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

void idle_init(struct idle *idle)
{
    *idle = (struct idle){.factor_milli = IDLE_NONE};
}

/*
 * A tenant that is seen to use more than its cap is not idling: the correction ends at once. Else
 * it follows by halves, since one sample's time and ours overlap only roughly.
 */
static void follow(struct idle *idle, int64_t occupied_milli, int64_t busy_milli, int64_t cap_milli)
{
    int64_t idle_milli = occupied_milli - busy_milli;

    if (idle_milli < AGREES)
        idle_milli = 0;
    if (busy_milli > cap_milli + 2 * TOLERANCE && idle_milli < idle->idle_milli)
        idle->idle_milli = idle_milli;
    else
        idle->idle_milli = (idle->idle_milli + idle_milli) / 2;
}

/* A quarter of the overrun is taken off until the next sample. */
static int64_t take_overrun(struct idle *idle, int64_t busy_milli, int64_t cap_milli,
                            int64_t span_ns)
{
    int64_t part_milli;

    idle->overrun_milli_ns += (cap_milli + TOLERANCE - busy_milli) * span_ns;
    idle->overrun_milli_ns = clamp(idle->overrun_milli_ns, -OVERRUN_MOST_NS * WHOLE, 0);
    part_milli = idle->overrun_milli_ns / 4 / span_ns;
    return part_milli;
}

static void set_factor(struct idle *idle, int64_t overrun_milli)
{
    int64_t cap_milli = idle->cap_milli_percent;
    int64_t budget_milli = clamp(cap_milli + idle->idle_milli + overrun_milli, 1, WHOLE);

    idle->factor_milli = (uint32_t)clamp(budget_milli * IDLE_NONE / cap_milli, FACTOR_LEAST,
                                         WHOLE * IDLE_NONE / cap_milli);
}

/* What was measured under the old cap says nothing of the new one. */
static void change_cap(struct idle *idle, uint32_t cap_milli_percent)
{
    idle->cap_milli_percent = cap_milli_percent;
    idle->overrun_milli_ns = 0;
    idle->skip_count = idle->has_sample ? SAMPLES_LATE : 0;
    set_factor(idle, 0);
}

static void correct(struct idle *idle, const struct idle_measure *measure, int64_t span_ns)
{
    uint64_t net_raw_ns = (uint64_t)measure->net_ns - (uint64_t)idle->sample_net_ns;
    int64_t net_ns = clamp((int64_t)net_raw_ns, 0, span_ns);
    int64_t cap_milli = idle->cap_milli_percent;
    int64_t busy_milli = clamp(measure->busy_percent, 0, 100) * 1000;
    int64_t occupied_milli = net_ns * WHOLE / span_ns, both_milli = occupied_milli;

    /* It has just come: NVML's sample is of a time when it was not there yet. */
    if (!idle->has_occupied || idle->occupied_milli < occupied_milli / 2)
        both_milli = idle->occupied_milli;
    idle->occupied_milli = occupied_milli;
    idle->has_occupied = true;
    follow(idle, both_milli, busy_milli, cap_milli);
    set_factor(idle, take_overrun(idle, busy_milli, cap_milli, span_ns));
}

static void take_sample(struct idle *idle, const struct idle_measure *measure)
{
    uint64_t span_ns = measure->now_ns - idle->sample_ns;

    if (idle->skip_count)
        idle->skip_count--;
    else if (measure->now_ns > idle->sample_ns && span_ns <= SPAN_MOST_NS)
        correct(idle, measure, (int64_t)span_ns);
}

uint32_t idle_note(struct idle *idle, const struct idle_measure *measure)
{
    uint32_t cap_milli = (uint32_t)clamp(measure->cap_milli_percent, 1, WHOLE);

    if (idle->cap_milli_percent != cap_milli)
        change_cap(idle, cap_milli);
    if (idle->has_sample && idle->stamp == measure->busy_stamp)
        return idle->factor_milli;
    if (idle->has_sample)
        take_sample(idle, measure);
    idle->has_sample = true;
    idle->stamp = measure->busy_stamp;
    idle->sample_ns = measure->now_ns;
    idle->sample_net_ns = measure->net_ns;
    return idle->factor_milli;
}
