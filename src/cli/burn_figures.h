#pragma once
/*
 * burn_figures - statistics of what a burn saw: pure arithmetic.
 */
#include <stddef.h>
#include <stdint.h>

struct burn_spread {
    size_t count; /* 0: nothing below is known */
    double mean, deviation, least, most;
};

struct burn_spread burn_figures_spread(const double *values, size_t count);

struct burn_latencies {
    double p50_us, p90_us, p99_us, max_us;
};

/* Sorts the values; count > 0. */
struct burn_latencies burn_figures_latencies(double *values_us, size_t count);

/*
 * One request: our clock before the launch, the GPU's stamp at its end, our clock when we saw it.
 */
struct burn_request {
    uint64_t begin_ns, end_gpu_ns, seen_ns;
};

/*
 * Latency of each request, in us, on our clock. What the GPU's clock is ahead of ours is at least
 * (stamp - seen); the largest of that within a second around a request is taken for it, so that
 * what a thread was late to see does not count and a drift does not either.
 */
void burn_figures_requests(double *ret_latencies_us, const struct burn_request *requests,
                           size_t count);
