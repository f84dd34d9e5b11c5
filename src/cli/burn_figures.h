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

/* The longest time without work, as far as looks at the counter can tell. */
struct burn_pause {
    uint64_t looked_ns, idle_since_ns, longest_ns;
};

void burn_pause_begin(struct burn_pause *pause, uint64_t now_ns);

/*
 * A look: since the one before as much work was done as takes `worked_ns` alone. What idling there
 * was in between counts, and not how late the look came: whoever looks may have had no processor.
 */
void burn_pause_note(struct burn_pause *pause, uint64_t now_ns, uint64_t worked_ns);

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
