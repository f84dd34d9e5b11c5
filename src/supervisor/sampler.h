#pragma once
/*
 * sampler - who occupies a GPU's compute engine, from the context-switch records that its front end
 * writes (reference: docs/design/gpu-time.md). One sampler a GPU and process; an RM client of its
 * own.
 *
 * It says who *occupies*: exact while contexts compete or a duty cycle runs; a lone idle context
 * counts as occupying; copy engines and single MPS clients are not seen. Times are CLOCK_MONOTONIC
 * (the GPU's clock plus an offset read once a second). Without rights over other users' processes
 * those appear as pid 0. Not thread-safe: one thread owns it.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct gpus_card;
struct sampler;

/* Sums of one process (or of pid 0: all that are hidden from us) since the sampler was opened. */
struct sampler_use {
    uint64_t closed_ns;      /* sum of finished intervals, as the records say */
    uint64_t interval_count; /* of them */
    bool is_on_engine;
    uint64_t since_ns;    /* begin of the open interval, where is_on_engine */
    uint64_t last_end_ns; /* end of the last finished interval; 0: none */
};

int sampler_open(struct sampler **ret_sampler, const struct gpus_card *card,
                 struct err *err) MUST_CHECK;
void sampler_close(struct sampler *sampler);

/*
 * Takes in the records written so far; with `flush` after having the hardware's log drained (20-104
 * us, worst seen 4.1 ms; without, records arrive some 30 times a second). Re-reads the clock's
 * offset once a second. Returns the number of new records, or a negative errno (the GPU is lost,
 * say).
 */
int sampler_read(struct sampler *sampler, bool flush) MUST_CHECK;

/* What is known of a process; all zero for one that never was on the engine. */
void sampler_get(const struct sampler *sampler, pid_t pid, struct sampler_use *ret_use);

/* Everybody seen on the engine so far: calls back for each (pid 0: hidden ones, summed). */
typedef void sampler_visit(void *context, pid_t pid, const struct sampler_use *use);
void sampler_each(const struct sampler *sampler, sampler_visit *visit, void *context);

/* Forgets a process that has ended. */
void sampler_forget(struct sampler *sampler, pid_t pid);

/* Records lost (gaps in the sequence, drops in the header): balances should be settled anew. */
uint64_t sampler_lost_count(const struct sampler *sampler);
