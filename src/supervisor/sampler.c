#include "supervisor/sampler.h"

#include "supervisor/gpus.h"
#include "supervisor/records.h"
#include "supervisor/switch_log.h"
#include "utils/clock.h"

#include <errno.h>
#include <stdlib.h>

/* A reading of the GPU's clock lies between two of ours; the closest of a few tries is kept. */
#define OFFSET_TRIES      3
#define OFFSET_GOOD_NS    (50 * NS_PER_US)
#define OFFSET_MAX_AGE_NS NS_PER_SEC

struct sampler {
    struct switch_log log;
    struct records records;
    int64_t offset_ns;       /* the GPU's clock less ours */
    uint64_t offset_read_ns; /* when it was read; 0: never */
};

static int read_offset(struct sampler *sampler)
{
    uint64_t best_ns = UINT64_MAX;

    for (int i = 0; i < OFFSET_TRIES && best_ns > OFFSET_GOOD_NS; i++) {
        uint64_t before_ns = clock_now_ns();
        uint64_t gpu_ns, took_ns;
        int rc = switch_log_time(&sampler->log, &gpu_ns);

        if (rc < 0)
            return rc;
        took_ns = clock_now_ns() - before_ns;
        if (took_ns >= best_ns)
            continue;
        best_ns = took_ns;
        sampler->offset_ns = (int64_t)(gpu_ns - (before_ns + took_ns / 2));
    }
    sampler->offset_read_ns = clock_now_ns();
    return 0;
}

int sampler_open(struct sampler **ret_sampler, const struct gpus_card *card, struct err *err)
{
    struct sampler *sampler = calloc(1, sizeof(*sampler));
    int rc;

    if (!sampler)
        return err_set(err, ENOMEM, "allocate a sampler");
    records_init(&sampler->records);
    rc = switch_log_open(&sampler->log, card, err);
    if (rc < 0) {
        free(sampler);
        return rc;
    }
    rc = read_offset(sampler);
    if (rc < 0) {
        sampler_close(sampler);
        return err_set(err, -rc, "read the clock of GPU %u", card->nvml_index);
    }
    *ret_sampler = sampler;
    return 0;
}

void sampler_close(struct sampler *sampler)
{
    if (!sampler)
        return;
    switch_log_close(&sampler->log);
    free(sampler);
}

int sampler_read(struct sampler *sampler, bool flush)
{
    struct rm_switch_record record;
    int count = 0;

    if (flush) {
        int rc = switch_log_flush(&sampler->log);

        if (rc < 0)
            return rc;
    }
    while (switch_log_next(&sampler->log, &record)) {
        records_take(&sampler->records, &record);
        count++;
    }
    if (clock_now_ns() - sampler->offset_read_ns > OFFSET_MAX_AGE_NS) {
        int rc = read_offset(sampler);

        if (rc < 0)
            return rc;
    }
    return count;
}

static uint64_t to_monotonic_ns(const struct sampler *sampler, uint64_t gpu_ns)
{
    return gpu_ns ? gpu_ns - (uint64_t)sampler->offset_ns : 0;
}

static void fill_use(const struct sampler *sampler, const struct records_process *process,
                     struct sampler_use *ret_use)
{
    *ret_use = (struct sampler_use){
        .closed_ns = process->closed_ns,
        .interval_count = process->interval_count,
        .is_on_engine = process->is_on_engine,
        .since_ns = process->is_on_engine ? to_monotonic_ns(sampler, process->since_gpu_ns) : 0,
        .last_end_ns = to_monotonic_ns(sampler, process->last_end_gpu_ns),
    };
}

void sampler_get(const struct sampler *sampler, pid_t pid, struct sampler_use *ret_use)
{
    const struct records_process *process = records_find(&sampler->records, pid);

    *ret_use = (struct sampler_use){0};
    if (process)
        fill_use(sampler, process, ret_use);
}

void sampler_each(const struct sampler *sampler, sampler_visit *visit, void *context)
{
    for (uint32_t i = 0; i < sampler->records.process_count; i++) {
        const struct records_process *process = &sampler->records.processes[i];
        struct sampler_use use;

        if (!process->is_used)
            continue;
        fill_use(sampler, process, &use);
        visit(context, process->pid, &use);
    }
}

void sampler_forget(struct sampler *sampler, pid_t pid)
{
    records_forget(&sampler->records, pid);
}

uint64_t sampler_lost_count(const struct sampler *sampler)
{
    return sampler->records.lost_count;
}
