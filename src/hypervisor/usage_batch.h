#pragma once
/*
 * usage_batch - the lines that existing collectors read: `tf_gpu_usage` for each GPU and
 * `tf_worker_usage` for each tenant and GPU, averaged over some samples.
 *
 *     tf_gpu_usage     tags node, pool, uuid; fields rx, tx (KB/s over PCIe), temperature,
 *                      graphics_clock_mhz, sm_clock_mhz, memory_clock_mhz, video_clock_mhz,
 *                      memory_bytes (u), compute_percentage, memory_percentage (used of the card),
 *                      compute_tflops, power_usage (milliwatts, i)
 *     tf_worker_usage  tags node, pool, uuid, worker, namespace, workload and the extra labels;
 *                      fields memory_bytes (u), compute_percentage, memory_percentage (of the
 *                      limit), compute_tflops
 *
 * Fields without a letter are floats. A field is the average of the samples in which it was known,
 * and left out where it was in none: one counter that a card does not have costs that field and no
 * other. So are the fields nvlink_rx, nvlink_tx, compute_throttled_cnt, vram_freezed_cnt and
 * vram_resumed_cnt, which were constants: nobody measures them. memory_percentage of a tenant
 * without a limit and compute_tflops of a model that is not in the table are left out too. The
 * UUID is in lower case in both measurements.
 *
 * A tenant's memory is the ledger's figure, which its limit is held against (NVML's where there is
 * no ledger); its compute is measured GPU time. The tags of a worker are what `identify` says; by
 * itself a tenant's name tells nothing of pods, so without it `worker` is the tenant's name and
 * `namespace` and `workload` are "unknown".
 *
 * All of it is called on one thread (the loop). Nothing here waits: what is written is handed to
 * `emit`.
 */
#include "hypervisor/line_protocol.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>
#include <stdint.h>

struct snapshot;
struct snapshot_tenant;

#define USAGE_BATCH_NAME_MAX 256 /* with the NUL; longer ones are cut */

/* Borrowed until the next call of the function that gave it; NULL: not known. */
struct usage_identity {
    const char *worker, *namespace_name, *workload;
};

struct usage_settings {
    uint32_t batch_size; /* samples averaged, at least 1 */
    enum line_protocol_format format;
    const char *pool;         /* NULL or "": "unknown" */
    const char *extra_labels; /* usage_labels_parse() */
    /* 16-bit TFLOPS of a model as NVML names it; below 0: not known. NULL: nobody knows. */
    double (*tflops)(void *context, const char *model);
    /* Fills in what it knows (it comes all NULL). NULL: see above. */
    void (*identify)(void *context, const struct snapshot_tenant *tenant,
                     struct usage_identity *identity);
    /* A pod's label, borrowed until the next call; NULL, also as the function: "unknown". */
    const char *(*label)(void *context, const struct snapshot_tenant *tenant, const char *key);
    /* Whole lines; borrowed for the call. */
    void (*emit)(void *context, const char *lines, size_t length);
    void *context; /* of the four */
};

struct usage_batch;

/* Copies the settings and their texts. -EINVAL, -E2BIG: see usage_labels_parse(); -ENOMEM. */
int usage_batch_new(struct usage_batch **ret_batch, const struct usage_settings *settings,
                    struct err *err) MUST_CHECK;
/* What was not emitted is dropped. NULL is fine. */
void usage_batch_free(struct usage_batch *batch);

/*
 * Adds a sample; to be called once an interval. With the last of a batch its lines are emitted, at
 * the time of that sample, GPUs first. A tenant that ended within the batch has its lines too.
 * -ENOMEM: the sample, or the lines, are lost; the batch goes on.
 */
int usage_batch_add(struct usage_batch *batch, const struct snapshot *snapshot,
                    struct err *err) MUST_CHECK;
