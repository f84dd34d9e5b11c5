#include "erl/stretch.h"

#define SPAN_NS    UINT64_C(200000000)
#define WHOLE      100000.0
#define MOST_PART  0.95 /* of the GPU: no slice is long enough for all of it */
#define AIM        1.04 /* times the cap: the budget takes off what is too much */
#define STARVED    0.985
#define ALWAYS_ON  0.02 /* off for no longer than that part of the time */
#define EASILY     0.15 /* off for that part of the time: it would do with less */
#define SLICE_USED 0.5  /* its runs are as long as the slice, not as its own work */
#define DECAY      0.9

void stretch_init(struct stretch *stretch)
{
    *stretch = (struct stretch){0};
}

static uint64_t bound(double slice_us, uint64_t planned_us, uint64_t most_us)
{
    if (!(slice_us > (double)planned_us))
        return planned_us;
    return slice_us < (double)most_us ? (uint64_t)slice_us : most_us;
}

/* The slice with which it would have what it aims at, the others' runs staying as they are. */
static double find_slice_us(uint64_t slice_us, double part, double cap)
{
    double aim = cap * AIM < MOST_PART ? cap * AIM : MOST_PART;

    if (part < 0.001)
        part = 0.001;
    return (double)slice_us * (1 - part) / part * aim / (1 - aim);
}

static uint64_t decide(const struct stretch *stretch, const struct stretch_measure *now, double cap,
                       uint64_t planned_us, uint64_t most_us)
{
    uint64_t slice_us = stretch->slice_us ? stretch->slice_us : planned_us;
    double span_ns = (double)(now->now_ns - stretch->begin.now_ns);
    double used_ns = (double)(now->net_ns - stretch->begin.net_ns);
    double off = (double)(now->off_ns - stretch->begin.off_ns) / span_ns;
    double count = (double)(now->interval_count - stretch->begin.interval_count);
    bool uses_slices = used_ns > 0 && used_ns >= SLICE_USED * count * 1000 * (double)slice_us;
    double wanted_us = (double)slice_us;

    if (off <= ALWAYS_ON && used_ns < STARVED * cap * span_ns && uses_slices)
        wanted_us = find_slice_us(slice_us, used_ns / span_ns, cap);
    else if (off >= EASILY && off < 1)
        wanted_us = find_slice_us(slice_us, used_ns / span_ns / (1 - off), cap);
    else if (!uses_slices)
        wanted_us = (double)slice_us * DECAY;
    return bound(wanted_us, planned_us, most_us);
}

uint64_t stretch_note(struct stretch *stretch, const struct stretch_measure *measure,
                      uint32_t cap_milli_percent, uint64_t planned_us, uint64_t most_us)
{
    const struct stretch_measure *begin = &stretch->begin;
    bool is_anew = !begin->now_ns || measure->net_ns < begin->net_ns ||
                   measure->interval_count < begin->interval_count ||
                   measure->off_ns < begin->off_ns || measure->now_ns < begin->now_ns;

    if (is_anew) {
        stretch->begin = *measure;
    } else if (measure->now_ns - begin->now_ns >= SPAN_NS) {
        stretch->slice_us =
            decide(stretch, measure, cap_milli_percent / WHOLE, planned_us, most_us);
        stretch->begin = *measure;
    }
    return bound((double)stretch->slice_us, planned_us, most_us);
}
