#include "cli/burn_figures.h"

#include <math.h>
#include <stdlib.h>

#define NEAR_NS INT64_C(500000000)

struct burn_spread burn_figures_spread(const double *values, size_t count)
{
    struct burn_spread spread = {.count = count};
    double squares = 0;

    if (!count)
        return spread;
    spread.least = spread.most = values[0];
    for (size_t i = 0; i < count; i++) {
        spread.mean += values[i] / (double)count;
        if (values[i] < spread.least)
            spread.least = values[i];
        if (values[i] > spread.most)
            spread.most = values[i];
    }
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - spread.mean) * (values[i] - spread.mean);
    spread.deviation = count > 1 ? sqrt(squares / (double)(count - 1)) : 0;
    return spread;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

/* The smallest value that `part` of all do not exceed. */
static double rank(const double *sorted, size_t count, double part)
{
    size_t place = (size_t)ceil(part * (double)count);

    return sorted[place ? place - 1 : 0];
}

void burn_pause_begin(struct burn_pause *pause, uint64_t now_ns)
{
    *pause = (struct burn_pause){.looked_ns = now_ns, .idle_since_ns = now_ns};
}

void burn_pause_note(struct burn_pause *pause, uint64_t now_ns, uint64_t worked_ns)
{
    uint64_t span_ns = now_ns - pause->looked_ns;
    uint64_t idle_ns = worked_ns < span_ns ? span_ns - worked_ns : 0;
    uint64_t pause_ns = pause->looked_ns - pause->idle_since_ns + idle_ns;

    if (pause_ns > pause->longest_ns)
        pause->longest_ns = pause_ns;
    if (worked_ns)
        pause->idle_since_ns = now_ns - idle_ns; /* all of it may have come last */
    pause->looked_ns = now_ns;
}

struct burn_latencies burn_figures_latencies(double *values_us, size_t count)
{
    qsort(values_us, count, sizeof(*values_us), compare);
    return (struct burn_latencies){.p50_us = rank(values_us, count, 0.5),
                                   .p90_us = rank(values_us, count, 0.9),
                                   .p99_us = rank(values_us, count, 0.99),
                                   .max_us = values_us[count - 1]};
}

void burn_figures_requests(double *ret_latencies_us, const struct burn_request *requests,
                           size_t count)
{
    size_t first = 0;

    for (size_t i = 0; i < count; i++) {
        int64_t offset_ns = INT64_MIN;

        while ((int64_t)(requests[i].begin_ns - requests[first].begin_ns) > NEAR_NS)
            first++;
        for (size_t j = first;
             j < count && (int64_t)(requests[j].begin_ns - requests[i].begin_ns) < NEAR_NS; j++) {
            int64_t ahead_ns = (int64_t)(requests[j].end_gpu_ns - requests[j].seen_ns);

            if (ahead_ns > offset_ns)
                offset_ns = ahead_ns;
        }
        ret_latencies_us[i] =
            (double)((int64_t)(requests[i].end_gpu_ns - requests[i].begin_ns) - offset_ns) / 1000.0;
    }
}
