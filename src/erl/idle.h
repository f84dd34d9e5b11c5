#pragma once
/*
 * idle - what a tenant's idling is worth while it is alone on a GPU.
 *
 * The switch records say who occupies the engine, and a context that is alone occupies it while it
 * idles: a tenant that is busy for 60 % of its time would be charged for the other 40 as well. NVML
 * says, late and in whole percents, for how much of the last fifth of a second the GPU was busy.
 * What lies between the two is given back: the budget grows by the part of the time that the tenant
 * occupied without work, so that what it *uses* comes to its cap.
 *
 * The correction is taken from the two measures directly and is not integrated: for a tenant that
 * is always busy they agree (on an H200 within 0.3 points at caps from 5 to 95 %), and there is
 * nothing to correct, whatever it did before. An integral of (cap - use) was tried: it wound up
 * while a program was starting, and gave 87.7 % instead of 80 for seconds.
 *
 * A tenant that begins to work after idling has more than its cap until NVML says so (0.3 s); what
 * it used beyond is taken off again. Time and measures are passed in.
 */
#include <stdbool.h>
#include <stdint.h>

#define IDLE_NONE 1000u /* the factor where nothing is corrected */

/* At one instant: what the records and NVML say of a tenant that has the GPU for itself. */
struct idle_measure {
    uint64_t now_ns;
    int64_t net_ns;             /* time on the engine since whenever; only differences count */
    uint64_t busy_stamp;        /* differs for each of NVML's samples */
    uint32_t busy_percent;      /* NVML's newest sample */
    uint32_t cap_milli_percent; /* 1..100000 */
};

struct idle {
    bool has_sample, has_occupied;
    uint32_t skip_count; /* samples to come that tell of a time before the cap changed */
    uint32_t cap_milli_percent;
    uint64_t stamp, sample_ns; /* NVML's newest sample, and when it was seen */
    int64_t sample_net_ns;     /* the records at that instant */
    int64_t occupied_milli;    /* between the last two samples, milli-percent */
    int64_t idle_milli;        /* occupied without work, milli-percent, smoothed */
    int64_t overrun_milli_ns;  /* used beyond the cap and not yet taken off, ns x 100000; <= 0 */
    uint32_t factor_milli;
};

void idle_init(struct idle *idle);

/*
 * Takes note of a measure and returns the factor by which the budget is to be multiplied, in
 * thousandths: 500 up to what makes a cap 100 %. Between two samples of NVML's it stays the same.
 */
uint32_t idle_note(struct idle *idle, const struct idle_measure *measure);
