#include "hypervisor/exposition.h"

#include "hypervisor/accept_header.h"
#include "hypervisor/metric.h"
#include "hypervisor/metrics_own.h"
#include "hypervisor/snapshot.h"
#include "supervisor/verdict.h"
#include "utils/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_TYPE        "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct writer {
    FILE *file;
    bool is_openmetrics;
    const struct metric *metric;
    bool has_head; /* the metric's HELP and TYPE are written */
};

/* --- one line --- */

/* OpenMetrics names a family without the ending that its type gives to its samples. */
static int family_length(const struct writer *writer)
{
    static const char *const endings[] = {
        [METRICS_GAUGE] = "", [METRICS_COUNTER] = "_total", [METRICS_INFO] = "_info"};
    const struct metric *metric = writer->metric;

    return (int)(strlen(metric->name) -
                 (writer->is_openmetrics ? strlen(endings[metric->type]) : 0));
}

static void write_head(struct writer *writer)
{
    const struct metric *metric = writer->metric;
    int length = family_length(writer);
    enum metrics_type type = metric->type;

    if (type == METRICS_INFO && !writer->is_openmetrics)
        type = METRICS_GAUGE;
    /* Help is ours and has nothing to escape (a test of the table says so). */
    fprintf(writer->file, "# HELP %.*s %s\n", length, metric->name, metric->help);
    fprintf(writer->file, "# TYPE %.*s %s\n", length, metric->name, metric_type_word(type));
    if (writer->is_openmetrics && metric->unit[0])
        fprintf(writer->file, "# UNIT %.*s %s\n", length, metric->name, metric->unit);
    writer->has_head = true;
}

static void write_escaped(FILE *file, const char *text)
{
    size_t length;

    for (; *text; text += length ? length : 1) {
        length = utf8_character(text);
        if (!length)
            fputs(UTF8_REPLACEMENT, file);
        else if (*text == '\n')
            fputs("\\n", file);
        else if (*text == '"' || *text == '\\')
            fprintf(file, "\\%c", *text);
        else
            fwrite(text, 1, length, file);
    }
}

static const char *label_text(const struct metric_subject *at, enum metrics_label label)
{
    switch (label) {
    case METRICS_LABEL_NODE:
        return at->snapshot->node_name;
    case METRICS_LABEL_TENANT:
        return at->tenant->name;
    case METRICS_LABEL_UUID:
        return at->gpu->uuid;
    case METRICS_LABEL_MODEL:
        return at->gpu->model;
    case METRICS_LABEL_VERSION:
        return at->own->version;
    case METRICS_LABEL_DRIVER:
        return at->snapshot->driver_version;
    default:
        return at->word; /* a component, verdict, state or priority */
    }
}

static void write_label(struct writer *writer, const struct metric_subject *at,
                        enum metrics_label label, bool *is_first)
{
    bool is_number = label == METRICS_LABEL_GPU;
    const char *text = is_number ? NULL : label_text(at, label);

    if (!is_number && !text[0])
        return;
    fprintf(writer->file, "%c%s=\"", *is_first ? '{' : ',', metric_label_name(label));
    if (is_number)
        fprintf(writer->file, "%" PRIu32, at->gpu->nvml_index);
    else
        write_escaped(writer->file, text);
    fputc('"', writer->file);
    *is_first = false;
}

static void write_sample(struct writer *writer, const struct metric_subject *at)
{
    struct metric_number number = writer->metric->take(at);
    bool is_first = true;

    if (!metric_is_known(number))
        return;
    if (!writer->has_head)
        write_head(writer);
    fputs(writer->metric->name, writer->file);
    for (unsigned int label = 0; label < METRICS_LABEL_END; label++)
        if (writer->metric->labels & (UINT32_C(1) << label))
            write_label(writer, at, label, &is_first);
    fputs(is_first ? " " : "} ", writer->file);
    metric_print(number, writer->file);
    fputc('\n', writer->file);
}

/* --- what there is of each scope --- */

static void write_once(struct writer *writer, struct metric_subject *at)
{
    at->count = 0;
    for (uint32_t i = 0; i < at->snapshot->tenant_count; i++)
        at->count += at->snapshot->tenants[i].is_standalone;
    write_sample(writer, at);
}

static uint64_t count_faults(const struct snapshot *snapshot, const char *component)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < snapshot->fault_count; i++)
        count += strcmp(snapshot->faults[i].component, component) == 0;
    return count;
}

/* Those that may have a fault say 0; another one is shown from its first fault on. */
static void write_faults(struct writer *writer, struct metric_subject *at)
{
    static const char *const components[] = {"gpu", "sampler", "disk",
                                             "api", "metrics", "shared-files"};
    const struct snapshot_fault *faults = at->snapshot->faults;

    for (size_t i = 0; i < ARRAY_LENGTH(components); i++) {
        at->word = components[i];
        at->count = count_faults(at->snapshot, at->word);
        write_sample(writer, at);
    }
    for (uint32_t i = 0; i < at->snapshot->fault_count; i++) {
        bool is_written = false;

        at->word = faults[i].component;
        for (size_t k = 0; k < ARRAY_LENGTH(components); k++)
            is_written |= strcmp(components[k], at->word) == 0;
        for (uint32_t k = 0; k < i; k++)
            is_written |= strcmp(faults[k].component, at->word) == 0;
        at->count = count_faults(at->snapshot, at->word);
        if (!is_written)
            write_sample(writer, at);
    }
}

static void write_verdicts(struct writer *writer, struct metric_subject *at)
{
    static const char *const words[] = {
        [VERDICT_NONE] = "not-tested", [VERDICT_OBEYS] = "obeys", [VERDICT_INERT] = "inert"};

    for (uint32_t verdict = 0; verdict < ARRAY_LENGTH(words); verdict++) {
        at->word = words[verdict];
        at->is_so = at->gpu->verdict == verdict;
        write_sample(writer, at);
    }
}

/* One that is counted to a tenant is not foreign to whoever reads this. */
static void count_foreign(struct metric_subject *at, uint32_t gpu)
{
    at->count = 0;
    at->bytes = 0;
    for (uint32_t i = 0; i < at->snapshot->foreign_count; i++) {
        const struct snapshot_foreign *foreign = &at->snapshot->foreign[i];

        if (foreign->gpu != gpu || foreign->tenant[0])
            continue;
        at->count++;
        if (foreign->memory_bytes == SNAPSHOT_UNKNOWN || at->bytes == SNAPSHOT_UNKNOWN)
            at->bytes = SNAPSHOT_UNKNOWN;
        else
            at->bytes += foreign->memory_bytes;
    }
}

static void write_gpus(struct writer *writer, struct metric_subject *at)
{
    const struct snapshot *snapshot = at->snapshot;

    for (uint32_t i = 0; i < snapshot->gpu_count; i++) {
        at->gpu = &snapshot->gpus[i];
        count_foreign(at, i);
        if (writer->metric->scope == METRICS_SCOPE_GPU_VERDICT)
            write_verdicts(writer, at);
        else
            write_sample(writer, at);
    }
}

static void write_states(struct writer *writer, struct metric_subject *at)
{
    for (unsigned int state = 0; state < SNAPSHOT_STATE_END; state++) {
        at->word = snapshot_state_word(state);
        at->is_so = at->tenant->state == state;
        write_sample(writer, at);
    }
}

static void write_priorities(struct writer *writer, struct metric_subject *at)
{
    for (uint32_t priority = REGION_LOW; priority <= REGION_HIGH; priority++) {
        at->word = snapshot_priority_word(priority);
        at->is_so = at->share->priority == priority;
        write_sample(writer, at);
    }
}

static void write_shares(struct writer *writer, struct metric_subject *at)
{
    for (uint32_t i = 0; i < at->tenant->share_count; i++) {
        at->share = &at->tenant->shares[i];
        if (at->share->gpu >= at->snapshot->gpu_count)
            continue;
        at->gpu = &at->snapshot->gpus[at->share->gpu];
        if (writer->metric->scope == METRICS_SCOPE_SHARE_PRIORITY)
            write_priorities(writer, at);
        else
            write_sample(writer, at);
    }
}

static void write_tenants(struct writer *writer, struct metric_subject *at)
{
    for (uint32_t i = 0; i < at->snapshot->tenant_count; i++) {
        at->tenant = &at->snapshot->tenants[i];
        /* Any user can have as many of those as he likes, called whatever he likes. */
        if (at->tenant->is_standalone)
            continue;
        if (writer->metric->scope == METRICS_SCOPE_TENANT)
            write_sample(writer, at);
        else if (writer->metric->scope == METRICS_SCOPE_TENANT_STATE)
            write_states(writer, at);
        else
            write_shares(writer, at);
    }
}

static void write_metric(struct writer *writer, const struct snapshot *snapshot,
                         const struct metrics_own *own)
{
    static void (*const writers[])(struct writer *, struct metric_subject *) = {
        [METRICS_SCOPE_NODE] = write_once,      [METRICS_SCOPE_FAULT] = write_faults,
        [METRICS_SCOPE_GPU] = write_gpus,       [METRICS_SCOPE_GPU_VERDICT] = write_gpus,
        [METRICS_SCOPE_TENANT] = write_tenants, [METRICS_SCOPE_TENANT_STATE] = write_tenants,
        [METRICS_SCOPE_SHARE] = write_tenants,  [METRICS_SCOPE_SHARE_PRIORITY] = write_tenants,
    };
    struct metric_subject at = {.snapshot = snapshot, .own = own};

    writers[writer->metric->scope](writer, &at);
}

/* --- the whole --- */

static bool wants_openmetrics(const char *accept)
{
    static const struct accept_header_media text = {"text", "plain", "0.0.4"};
    static const struct accept_header_media openmetrics = {"application", "openmetrics-text",
                                                           "1.0.0"};
    struct accept_header_match other = accept_header_match(accept, &text);
    struct accept_header_match match = accept_header_match(accept, &openmetrics);

    /* A browser's "anything" is not the wish for a format that it cannot show. */
    return match.closeness >= ACCEPT_HEADER_SUBTYPE && match.quality_milli &&
           match.quality_milli >= other.quality_milli;
}

int exposition_write(const struct snapshot *snapshot, const struct metrics_own *own,
                     const char *accept, struct exposition *ret_exposition, struct err *err)
{
    struct writer writer = {.is_openmetrics = wants_openmetrics(accept)};
    struct exposition exposition = {.content_type =
                                        writer.is_openmetrics ? OPENMETRICS_TYPE : TEXT_TYPE};
    size_t count;
    const struct metric *metrics = metric_table(&count);
    bool has_failed;

    writer.file = open_memstream(&exposition.text, &exposition.length);
    if (!writer.file)
        return err_set(err, ENOMEM, "write the metrics");
    for (size_t i = 0; i < count; i++) {
        writer.metric = &metrics[i];
        writer.has_head = false;
        write_metric(&writer, snapshot, own);
    }
    if (writer.is_openmetrics)
        fputs("# EOF\n", writer.file);
    has_failed = ferror(writer.file) != 0;
    if (fclose(writer.file) || has_failed) {
        free(exposition.text);
        return err_set(err, ENOMEM, "write the metrics");
    }
    *ret_exposition = exposition;
    return 0;
}

void exposition_fini(struct exposition *exposition)
{
    if (exposition)
        free(exposition->text);
}
