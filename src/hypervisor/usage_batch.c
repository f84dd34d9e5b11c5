#include "hypervisor/usage_batch.h"

#include "hypervisor/snapshot.h"
#include "hypervisor/usage_labels.h"
#include "utils/str.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_TEXT "unknown"

/* What is averaged of a GPU; of a tenant it is the first four. */
enum field {
    FIELD_MEMORY_BYTES,
    FIELD_MEMORY_PERCENTAGE,
    FIELD_COMPUTE_PERCENTAGE,
    FIELD_COMPUTE_TFLOPS,
    FIELD_RX,
    FIELD_TX,
    FIELD_TEMPERATURE,
    FIELD_GRAPHICS_CLOCK,
    FIELD_SM_CLOCK,
    FIELD_MEMORY_CLOCK,
    FIELD_VIDEO_CLOCK,
    FIELD_POWER,
    FIELD_END
};

static const struct {
    const char *name;
    enum line_protocol_kind kind;
} fields[FIELD_END] = {
    [FIELD_MEMORY_BYTES] = {"memory_bytes", LINE_PROTOCOL_UNSIGNED},
    [FIELD_MEMORY_PERCENTAGE] = {"memory_percentage", LINE_PROTOCOL_FLOAT},
    [FIELD_COMPUTE_PERCENTAGE] = {"compute_percentage", LINE_PROTOCOL_FLOAT},
    [FIELD_COMPUTE_TFLOPS] = {"compute_tflops", LINE_PROTOCOL_FLOAT},
    [FIELD_RX] = {"rx", LINE_PROTOCOL_FLOAT},
    [FIELD_TX] = {"tx", LINE_PROTOCOL_FLOAT},
    [FIELD_TEMPERATURE] = {"temperature", LINE_PROTOCOL_FLOAT},
    [FIELD_GRAPHICS_CLOCK] = {"graphics_clock_mhz", LINE_PROTOCOL_FLOAT},
    [FIELD_SM_CLOCK] = {"sm_clock_mhz", LINE_PROTOCOL_FLOAT},
    [FIELD_MEMORY_CLOCK] = {"memory_clock_mhz", LINE_PROTOCOL_FLOAT},
    [FIELD_VIDEO_CLOCK] = {"video_clock_mhz", LINE_PROTOCOL_FLOAT},
    [FIELD_POWER] = {"power_usage", LINE_PROTOCOL_INTEGER},
};

/* A GPU (its tenant is empty), or a tenant on a GPU. */
struct entry {
    char tenant[64];
    char uuid[48]; /* in lower case */
    char worker[USAGE_BATCH_NAME_MAX], namespace_name[USAGE_BATCH_NAME_MAX];
    char workload[USAGE_BATCH_NAME_MAX];
    char (*label_values)[USAGE_BATCH_NAME_MAX]; /* by usage_labels; NULL: there are none */
    struct {
        double sum;
        uint32_t count;
    } averages[FIELD_END];
};

struct usage_batch {
    struct usage_settings settings;
    struct usage_labels labels;
    char pool[USAGE_BATCH_NAME_MAX];
    uint32_t sample_count;
    struct entry *entries; /* sorted by tenant, then by UUID: GPUs come first */
    size_t entry_count, entry_size;
};

/* Cut where it is too long: a name for people. */
static void copy_text(char *place, const char *text)
{
    (void)str_format(place, USAGE_BATCH_NAME_MAX, "%s", text && text[0] ? text : UNKNOWN_TEXT);
}

int usage_batch_new(struct usage_batch **ret_batch, const struct usage_settings *settings,
                    struct err *err)
{
    struct usage_batch *batch = calloc(1, sizeof(*batch));
    int rc;

    if (!batch)
        return err_set(err, ENOMEM, "allocate a batch of metrics");
    batch->settings = *settings;
    copy_text(batch->pool, settings->pool);
    rc = usage_labels_parse(&batch->labels, settings->extra_labels, err);
    if (rc < 0) {
        free(batch);
        return rc;
    }
    *ret_batch = batch;
    return 0;
}

static void clear(struct usage_batch *batch)
{
    for (size_t i = 0; i < batch->entry_count; i++)
        free(batch->entries[i].label_values);
    batch->entry_count = 0;
    batch->sample_count = 0;
}

void usage_batch_free(struct usage_batch *batch)
{
    if (!batch)
        return;
    clear(batch);
    free(batch->entries);
    free(batch);
}

/* --- finding and making entries --- */

static int compare(const struct entry *entry, const char *tenant, const char *uuid)
{
    int order = strcmp(entry->tenant, tenant);

    return order ? order : strcmp(entry->uuid, uuid);
}

/* The first entry that does not come before it. */
static size_t find_place(const struct usage_batch *batch, const char *tenant, const char *uuid)
{
    size_t low = 0, high = batch->entry_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(&batch->entries[middle], tenant, uuid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct entry *insert(struct usage_batch *batch, size_t at)
{
    if (batch->entry_count == batch->entry_size) {
        size_t size = batch->entry_size ? batch->entry_size * 2 : 32;
        struct entry *entries = reallocarray(batch->entries, size, sizeof(*entries));

        if (!entries)
            return NULL;
        batch->entries = entries;
        batch->entry_size = size;
    }
    memmove(&batch->entries[at + 1], &batch->entries[at],
            (batch->entry_count - at) * sizeof(*batch->entries));
    batch->entry_count++;
    batch->entries[at] = (struct entry){.label_values = NULL};
    return &batch->entries[at];
}

static struct entry *find_or_make(struct usage_batch *batch, const char *tenant, const char *uuid)
{
    char lower[sizeof(((struct entry *)NULL)->uuid)];
    struct entry *entry;
    size_t at;

    (void)str_format(lower, sizeof(lower), "%s", uuid); /* same size */
    for (char *c = lower; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    at = find_place(batch, tenant, lower);
    if (at < batch->entry_count && compare(&batch->entries[at], tenant, lower) == 0)
        return &batch->entries[at];
    entry = insert(batch, at);
    if (!entry)
        return NULL;
    (void)str_format(entry->tenant, sizeof(entry->tenant), "%s", tenant); /* same size */
    (void)str_format(entry->uuid, sizeof(entry->uuid), "%s", lower);      /* same size */
    return entry;
}

/* Asked anew with each sample: a pod's labels may change, and the newest ones are shown. */
static int describe(struct usage_batch *batch, struct entry *entry,
                    const struct snapshot_tenant *tenant)
{
    const struct usage_settings *settings = &batch->settings;
    struct usage_identity identity = {.worker = NULL};

    if (settings->identify)
        settings->identify(settings->context, tenant, &identity);
    copy_text(entry->worker, identity.worker ? identity.worker : tenant->name);
    copy_text(entry->namespace_name, identity.namespace_name);
    copy_text(entry->workload, identity.workload);
    if (batch->labels.count && !entry->label_values)
        entry->label_values = calloc(batch->labels.count, sizeof(*entry->label_values));
    if (batch->labels.count && !entry->label_values)
        return -ENOMEM;
    for (size_t i = 0; i < batch->labels.count; i++) {
        const char *key = batch->labels.labels[i].key;

        copy_text(entry->label_values[i],
                  settings->label ? settings->label(settings->context, tenant, key) : NULL);
    }
    return 0;
}

/* --- adding --- */

static void add_number(struct entry *entry, enum field field, double value)
{
    if (!isfinite(value))
        return;
    entry->averages[field].sum += value;
    entry->averages[field].count++;
}

static double known(uint64_t value)
{
    return value == SNAPSHOT_UNKNOWN ? NAN : (double)value;
}

/* NAN where either is unknown, or where there is nothing to be a part of. */
static double percentage(uint64_t part, uint64_t whole)
{
    return whole ? known(part) / known(whole) * 100 : NAN;
}

static double tflops_of(const struct usage_batch *batch, const struct snapshot_gpu *gpu,
                        double percent)
{
    double all =
        batch->settings.tflops ? batch->settings.tflops(batch->settings.context, gpu->model) : -1;

    return all < 0 ? NAN : all * percent / 100;
}

static int add_gpu(struct usage_batch *batch, const struct snapshot_gpu *gpu)
{
    struct entry *entry = find_or_make(batch, "", gpu->uuid);
    double busy_percent = known(gpu->busy_percent);

    if (!entry)
        return -ENOMEM;
    add_number(entry, FIELD_MEMORY_BYTES, known(gpu->memory_used_bytes));
    add_number(entry, FIELD_MEMORY_PERCENTAGE,
               percentage(gpu->memory_used_bytes, gpu->memory_bytes));
    add_number(entry, FIELD_COMPUTE_PERCENTAGE, busy_percent);
    add_number(entry, FIELD_COMPUTE_TFLOPS, tflops_of(batch, gpu, busy_percent));
    add_number(entry, FIELD_RX, known(gpu->pcie_receive_kib_per_s));
    add_number(entry, FIELD_TX, known(gpu->pcie_transmit_kib_per_s));
    add_number(entry, FIELD_TEMPERATURE, known(gpu->temperature_celsius));
    add_number(entry, FIELD_GRAPHICS_CLOCK, known(gpu->graphics_clock_mhz));
    add_number(entry, FIELD_SM_CLOCK, known(gpu->sm_clock_mhz));
    add_number(entry, FIELD_MEMORY_CLOCK, known(gpu->memory_clock_mhz));
    add_number(entry, FIELD_VIDEO_CLOCK, known(gpu->video_clock_mhz));
    add_number(entry, FIELD_POWER, known(gpu->power_milliwatts));
    return 0;
}

static int add_share(struct usage_batch *batch, const struct snapshot *snapshot,
                     const struct snapshot_tenant *tenant, const struct snapshot_share *share)
{
    const struct snapshot_gpu *gpu = &snapshot->gpus[share->gpu];
    struct entry *entry = find_or_make(batch, tenant->name, gpu->uuid);
    uint64_t memory_bytes = share->memory_used_bytes;
    double used_percent = known(share->used_milli_percent) / 1000;

    if (!entry || describe(batch, entry, tenant) < 0)
        return -ENOMEM;
    if (memory_bytes == SNAPSHOT_UNKNOWN)
        memory_bytes = share->memory_nvml_bytes;
    if (memory_bytes != SNAPSHOT_UNKNOWN)
        memory_bytes += snapshot_adopted_bytes(snapshot, tenant, share->gpu);
    add_number(entry, FIELD_MEMORY_BYTES, known(memory_bytes));
    add_number(entry, FIELD_MEMORY_PERCENTAGE, percentage(memory_bytes, share->memory_limit_bytes));
    add_number(entry, FIELD_COMPUTE_PERCENTAGE, used_percent);
    add_number(entry, FIELD_COMPUTE_TFLOPS, tflops_of(batch, gpu, used_percent));
    return 0;
}

static int add_tenant(struct usage_batch *batch, const struct snapshot *snapshot,
                      const struct snapshot_tenant *tenant)
{
    /* Any user can have as many of those as he likes, called whatever he likes. */
    if (tenant->is_standalone)
        return 0;
    for (uint32_t i = 0; i < tenant->share_count; i++)
        if (tenant->shares[i].gpu < snapshot->gpu_count &&
            add_share(batch, snapshot, tenant, &tenant->shares[i]) < 0)
            return -ENOMEM;
    return 0;
}

static int add_all(struct usage_batch *batch, const struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->gpu_count; i++)
        if (add_gpu(batch, &snapshot->gpus[i]) < 0)
            return -ENOMEM;
    for (uint32_t i = 0; i < snapshot->tenant_count; i++)
        if (add_tenant(batch, snapshot, &snapshot->tenants[i]) < 0)
            return -ENOMEM;
    return 0;
}

/* --- emitting --- */

static void add_fields(struct line_protocol *line, const struct entry *entry)
{
    for (unsigned int i = 0; i < FIELD_END; i++) {
        double average = entry->averages[i].sum / entry->averages[i].count;

        if (!entry->averages[i].count)
            continue;
        if (fields[i].kind == LINE_PROTOCOL_UNSIGNED)
            line_protocol_unsigned(line, fields[i].name, (uint64_t)llround(average));
        else if (fields[i].kind == LINE_PROTOCOL_INTEGER)
            line_protocol_integer(line, fields[i].name, llround(average));
        else
            line_protocol_float(line, fields[i].name, average);
    }
}

static void print_entry(const struct usage_batch *batch, const struct entry *entry,
                        const struct snapshot *snapshot, FILE *file)
{
    bool is_gpu = !entry->tenant[0];
    struct line_protocol line;

    line_protocol_init(&line, is_gpu ? "tf_gpu_usage" : "tf_worker_usage", snapshot->taken_unix_ms);
    line_protocol_tag(&line, "node", snapshot->node_name);
    line_protocol_tag(&line, "pool", batch->pool);
    line_protocol_tag(&line, "uuid", entry->uuid);
    if (!is_gpu) {
        line_protocol_tag(&line, "worker", entry->worker);
        line_protocol_tag(&line, "namespace", entry->namespace_name);
        line_protocol_tag(&line, "workload", entry->workload);
        for (size_t i = 0; i < batch->labels.count; i++)
            line_protocol_tag(&line, batch->labels.labels[i].tag,
                              entry->label_values ? entry->label_values[i] : UNKNOWN_TEXT);
    }
    add_fields(&line, entry);
    line_protocol_print(&line, batch->settings.format, file);
}

static int emit(struct usage_batch *batch, const struct snapshot *snapshot, struct err *err)
{
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);
    bool has_failed;

    if (!file)
        return err_set(err, ENOMEM, "write a batch of metrics");
    for (size_t i = 0; i < batch->entry_count; i++)
        print_entry(batch, &batch->entries[i], snapshot, file);
    has_failed = ferror(file) != 0;
    has_failed |= fclose(file) != 0;
    if (!has_failed && length)
        batch->settings.emit(batch->settings.context, text, length);
    free(text);
    return has_failed ? err_set(err, ENOMEM, "write a batch of metrics") : 0;
}

int usage_batch_add(struct usage_batch *batch, const struct snapshot *snapshot, struct err *err)
{
    int rc = add_all(batch, snapshot);

    if (rc < 0)
        rc = err_set(err, ENOMEM, "add a sample to the metrics");
    if (++batch->sample_count < batch->settings.batch_size)
        return rc;
    /* What the batch has of other samples, and of this one, is as true as ever. */
    if (emit(batch, snapshot, rc < 0 ? NULL : err) < 0)
        rc = -ENOMEM;
    clear(batch);
    return rc;
}
