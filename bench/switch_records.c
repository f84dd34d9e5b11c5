/*
 * switch_records - prints who occupied each GPU, second by second, as the context-switch records
 * say, and what reading them costs: `switch_records SECONDS [POLL_MS]`.
 */
#include "supervisor/gpus.h"
#include "supervisor/sampler.h"
#include "utils/clock.h"
#include "utils/parse.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define PROCESSES_MAX 64

struct last {
    pid_t pid;
    uint64_t occupied_ns, interval_count;
};

struct report {
    struct last lasts[PROCESSES_MAX];
    size_t count;
    uint64_t now_ns, span_ns;
};

static uint64_t used_cpu_ns(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return 0;
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_SEC +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * NS_PER_US;
}

static struct last *find(struct report *report, pid_t pid)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->lasts[i].pid == pid)
            return &report->lasts[i];
    if (report->count == PROCESSES_MAX)
        return NULL;
    report->lasts[report->count] = (struct last){.pid = pid};
    return &report->lasts[report->count++];
}

static void print_one(void *context, pid_t pid, const struct sampler_use *use)
{
    struct report *report = context;
    struct last *last = find(report, pid);
    uint64_t occupied_ns = use->closed_ns;

    if (!last)
        return;
    if (use->is_on_engine && report->now_ns > use->since_ns)
        occupied_ns += report->now_ns - use->since_ns;
    if (report->span_ns)
        printf("  pid %d: %6.2f %% in %llu intervals%s\n", (int)pid,
               100.0 * (double)(occupied_ns - last->occupied_ns) / (double)report->span_ns,
               (unsigned long long)(use->interval_count - last->interval_count),
               use->is_on_engine ? ", on the engine now" : "");
    last->occupied_ns = occupied_ns;
    last->interval_count = use->interval_count;
}

static int watch(struct sampler *sampler, uint64_t seconds, uint64_t poll_ns)
{
    struct report report = {0};
    uint64_t begin_ns = clock_now_ns(), last_ns = begin_ns, cpu_ns = used_cpu_ns();
    uint64_t flush_worst_ns = 0, count = 0;

    for (uint64_t next_ns = begin_ns + poll_ns; last_ns < begin_ns + seconds * NS_PER_SEC;
         next_ns += poll_ns) {
        uint64_t before_ns;
        int rc;

        clock_sleep_until_ns(next_ns);
        before_ns = clock_now_ns();
        rc = sampler_read(sampler, true);
        report.now_ns = clock_now_ns();
        if (rc < 0) {
            fprintf(stderr, "reading records failed: %d\n", rc);
            return 1;
        }
        count += (uint64_t)rc;
        if (report.now_ns - before_ns > flush_worst_ns)
            flush_worst_ns = report.now_ns - before_ns;
        if (report.now_ns - last_ns < NS_PER_SEC)
            continue;
        report.span_ns = report.now_ns - last_ns;
        printf("%llu records, %llu lost, worst read %llu us, cpu %.2f %%\n",
               (unsigned long long)count, (unsigned long long)sampler_lost_count(sampler),
               (unsigned long long)(flush_worst_ns / NS_PER_US),
               100.0 * (double)(used_cpu_ns() - cpu_ns) / (double)(report.now_ns - begin_ns));
        sampler_each(sampler, print_one, &report);
        last_ns = report.now_ns;
    }
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t seconds, poll_ms = 20;
    struct sampler *sampler;
    struct gpus *gpus;
    struct err err;
    int rc;

    if (argc < 2 || parse_u64(&seconds, argv[1], 1, 3600, &err) < 0 ||
        (argc > 2 && parse_u64(&poll_ms, argv[2], 1, 1000, &err) < 0)) {
        fprintf(stderr, "usage: switch_records SECONDS [POLL_MS]\n");
        return 2;
    }
    if (gpus_open(&gpus, &err) < 0 || sampler_open(&sampler, gpus_card(gpus, 0), &err) < 0) {
        fprintf(stderr, "switch_records: %s\n", err.text);
        return 1;
    }
    printf("GPU 0: %s at %s, %llu MiB, driver %s\n", gpus_card(gpus, 0)->uuid,
           gpus_card(gpus, 0)->pci_bus_id,
           (unsigned long long)(gpus_card(gpus, 0)->memory_bytes >> 20), gpus_driver_version(gpus));
    rc = watch(sampler, seconds, poll_ms * NS_PER_MS);
    sampler_close(sampler);
    gpus_close(gpus);
    return rc;
}
