#include "cli/trial.h"

#include "cli/child.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RATES_MAX      64
#define RATE_TIMEOUT   (60 * NS_PER_SEC)
#define START_NS       (1500 * NS_PER_MS) /* until a process has its CUDA context */
#define START_EACH_NS  (200 * NS_PER_MS)  /* the driver makes one after the other */
#define ATTEMPTS       2                  /* the second with twice the time to start */
#define OVERTIME_NS    (40 * NS_PER_SEC)
#define COOL_DOWN_NS   (300 * NS_PER_MS)
#define OUTPUT_MAX     8192
#define SELF           "/proc/self/exe"
#define DIRECTORY_MAX  64
#define NAME_MAX_BYTES 64

struct trial_setup {
    char directory[DIRECTORY_MAX];
    char self[4096];
    const char *known[RATES_MAX]; /* the options of each rate; borrowed: they are in tables */
    size_t count;
    unsigned int trials; /* that have run */
};

int trial_setup_new(struct trial_setup **ret_setup, struct err *err)
{
    CLEANUP_FREE struct trial_setup *setup = calloc(1, sizeof(*setup));
    ssize_t length;

    if (!setup)
        return err_set(err, ENOMEM, "begin");
    length = readlink(SELF, setup->self, sizeof(setup->self) - 1);
    if (length < 0)
        return err_set(err, errno, "find this program's own place");
    (void)str_format(setup->directory, sizeof(setup->directory),
                     "/tmp/vgpu-rates-XXXXXX"); /* fits */
    if (!mkdtemp(setup->directory))
        return err_set(err, errno, "make a directory in /tmp");
    *ret_setup = TAKE_POINTER(setup);
    return 0;
}

static void rate_path(const struct trial_setup *setup, size_t place, char *path, size_t size)
{
    (void)str_format(path, size, "%s/%zu", setup->directory, place); /* fits */
}

void trial_setup_free(struct trial_setup *setup)
{
    char path[DIRECTORY_MAX + 16];

    if (!setup)
        return;
    for (size_t i = 0; i < setup->count; i++) {
        rate_path(setup, i, path, sizeof(path));
        (void)unlink(path); /* it may be missing */
    }
    (void)rmdir(setup->directory);
    free(setup);
}

const char *trial_program(const struct trial_setup *setup)
{
    return setup->self;
}

void trial_name(const struct trial_setup *setup, char *ret_name, const char *name)
{
    /* Short names: this fits. */
    (void)str_format(ret_name, NAME_MAX_BYTES, "%s-%d-%u", name, (int)getpid(), setup->trials);
}

static int measure_rate(struct trial_setup *setup, const char *options, struct err *err)
{
    char path[DIRECTORY_MAX + 16];
    struct child child;
    int rc;

    rate_path(setup, setup->count, path, sizeof(path));
    child_init(&child);
    child_add(&child, setup->self);
    child_add(&child, "burn");
    child_add_list(&child, options);
    child_add_list(&child, "--seconds 0 --save-rate");
    child_add(&child, path);
    rc = child_start(&child, false, err);
    if (!rc)
        rc = child_wait(&child, RATE_TIMEOUT, err);
    child_fini(&child);
    if (rc > 0)
        rc = err_say(err, EIO, "a GPU cannot be kept busy (try 'vgpu burn')");
    if (rc < 0)
        return rc;
    setup->known[setup->count++] = options;
    return 0;
}

static int find_rate(struct trial_setup *setup, const char *options, char *path, size_t size,
                     struct err *err)
{
    size_t place = 0;

    while (place < setup->count && !str_equals(setup->known[place], options))
        place++;
    if (place == RATES_MAX)
        return err_say(err, ENOSPC, "more than %d kinds of kernels", RATES_MAX);
    if (place == setup->count) {
        int rc = measure_rate(setup, options, err);

        if (rc < 0)
            return rc;
    }
    rate_path(setup, place, path, size);
    return 0;
}

static int find_rates(struct trial_setup *setup, const struct trial *trial, struct err *err)
{
    char path[DIRECTORY_MAX + 16];
    int rc = 0;

    for (size_t i = 0; i < trial->count && !rc; i++)
        rc = find_rate(setup, trial->tenants[i].burn_options, path, sizeof(path), err);
    return rc;
}

/* Several processes are one tenant's when a shell starts them. */
static void add_shell(struct child *child, unsigned int processes)
{
    static const char *const scripts[] = {
        "\"$@\" & wait",
        "\"$@\" & \"$@\" & wait",
        "\"$@\" & \"$@\" & \"$@\" & wait",
        "\"$@\" & \"$@\" & \"$@\" & \"$@\" & wait",
    };

    child_add_list(child, "sh -c");
    child_add(child, scripts[(processes - 1) % ARRAY_LENGTH(scripts)]);
    child_add(child, "sh");
}

static void add_times(struct child *child, double seconds, uint64_t start_ns)
{
    child_add(child, "--start-at");
    child_add_format(child, "%llu", (unsigned long long)start_ns);
    child_add(child, "--seconds");
    child_add_format(child, "%llu.%03u", (unsigned long long)seconds,
                     (unsigned int)(seconds * 1000) % 1000);
    child_add_format(child, "--cool-down=0.%03u", (unsigned int)(COOL_DOWN_NS / NS_PER_MS));
}

static int prepare(struct trial_setup *setup, const struct trial_tenant *tenant,
                   struct child *child, struct err *err)
{
    char path[DIRECTORY_MAX + 16], name[NAME_MAX_BYTES];
    int rc = find_rate(setup, tenant->burn_options, path, sizeof(path), err);

    if (rc < 0)
        return rc;
    trial_name(setup, name, tenant->name);
    child_add(child, setup->self);
    child_add_list(child, "run --name");
    child_add_format(child, "%s", name);
    child_add_list(child, tenant->run_options);
    child_add(child, "--");
    if (tenant->processes > 1)
        add_shell(child, tenant->processes);
    child_add(child, setup->self);
    child_add_list(child, "burn --json");
    child_add_list(child, tenant->burn_options);
    if (tenant->more_options)
        child_add_list(child, tenant->more_options);
    child_add(child, "--rate");
    child_add_format(child, "%s", path);
    return 0;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static unsigned int process_count(const struct trial_tenant *tenant)
{
    return tenant->processes ? tenant->processes : 1;
}

/* One line of JSON for each process: a sum that lacks one says nothing. */
static void read_figures(const char *text, unsigned int processes, struct trial_figures *figures)
{
    unsigned int count = 0;

    *figures =
        (struct trial_figures){.spread_percent = NAN, .longest_pause_ms = NAN, .p99_us = NAN};
    for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
        json_t *object = json_loadb(text, strcspn(text, "\n"), 0, NULL);

        if (object && count++ == 0) {
            figures->spread_percent = number(object, "window_sd_percent");
            figures->longest_pause_ms = number(object, "longest_pause_ms");
            figures->p99_us = number(json_object_get(object, "latency_us"), "p99");
        }
        if (object)
            figures->share_percent += number(object, "share_percent");
        json_decref(object);
    }
    figures->is_there = count == processes;
}

static void collect(struct child *children, const struct trial *trial, uint64_t timeout_ns,
                    struct trial_figures *ret_figures)
{
    for (size_t i = 0; i < trial->count; i++) {
        CLEANUP_FREE char *text = calloc(1, OUTPUT_MAX);
        int rc = child_wait(&children[i], timeout_ns, NULL);

        ret_figures[i] = (struct trial_figures){0};
        if (rc == 0 && text) {
            child_read(&children[i], text, OUTPUT_MAX);
            read_figures(text, process_count(&trial->tenants[i]), &ret_figures[i]);
        }
    }
}

static bool are_all_there(const struct trial *trial, const struct trial_figures *figures)
{
    for (size_t i = 0; i < trial->count; i++)
        if (!figures[i].is_there)
            return false;
    return true;
}

static int run_once(struct trial_setup *setup, const struct trial *trial, uint64_t patience,
                    struct trial_figures *ret_figures, struct err *err)
{
    CLEANUP_FREE struct child *children = calloc(TRIAL_TENANTS_MAX, sizeof(*children));
    uint64_t now_ns, start_ns, processes = 0;
    int rc = 0;

    if (!children)
        return err_set(err, ENOMEM, "begin");
    for (size_t i = 0; i < trial->count; i++) {
        child_init(&children[i]);
        processes += process_count(&trial->tenants[i]);
    }
    now_ns = clock_now_ns();
    start_ns = now_ns + patience * (START_NS + processes * START_EACH_NS) +
               (uint64_t)(trial->warm_up_seconds * (double)NS_PER_SEC);
    for (size_t i = 0; i < trial->count && !rc; i++) {
        rc = prepare(setup, &trial->tenants[i], &children[i], err);
        add_times(&children[i], trial->seconds, start_ns);
        if (!rc)
            rc = child_start(&children[i], false, err);
    }
    if (!rc && trial->watch) {
        clock_sleep_until_ns(start_ns + (uint64_t)(trial->seconds * (double)NS_PER_SEC / 2));
        trial->watch(trial->context);
    }
    if (!rc)
        collect(children, trial,
                start_ns - now_ns + (uint64_t)(trial->seconds * (double)NS_PER_SEC) + OVERTIME_NS,
                ret_figures);
    for (size_t i = 0; i < trial->count; i++)
        child_fini(&children[i]);
    setup->trials++;
    return rc;
}

int trial_run(struct trial_setup *setup, const struct trial *trial,
              struct trial_figures *ret_figures, struct err *err)
{
    int rc = find_rates(setup, trial, err);

    /* A busy machine may take longer to start them than is usual. */
    for (uint64_t attempt = 1; attempt <= ATTEMPTS && !rc; attempt++) {
        rc = run_once(setup, trial, attempt, ret_figures, err);
        if (rc < 0 || are_all_there(trial, ret_figures))
            break;
        if (attempt < ATTEMPTS)
            log_warn("not all tenants of the trial '%s' ran: once more, with more time to start",
                     trial->tenants[0].name);
    }
    return rc;
}
