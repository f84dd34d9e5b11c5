#include "cli/burn_watch.h"

#include "cli/burn.h"
#include "utils/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WINDOW_NS   (100 * NS_PER_MS)
#define POLL_NS     (2 * NS_PER_MS)
#define READ_NS     (150 * NS_PER_US) /* a reading that took longer is tried again */
#define READ_TRIES  5
#define WINDOWS_MAX 36000

/* Whoever ends a burn early gets the figures up to then; a second signal ends it at once. */
static volatile sig_atomic_t is_ended;

static void end(int signal)
{
    is_ended = 1;
}

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = end, .sa_flags = SA_RESETHAND | SA_RESTART};

    (void)sigaction(SIGTERM, &action, NULL); /* cannot fail with these arguments */
    (void)sigaction(SIGINT, &action, NULL);
}

/* The counter at an instant. */
struct point {
    uint64_t now_ns, progress;
};

struct state {
    const struct burn_watch *watch;
    double *windows;
    size_t window_count;
    struct point window, trace, last; /* begin of each running one */
    struct burn_pause pause;
    int trace_fd;
};

/* The query brings the simulator's counters up to now and costs hardware nothing. */
static struct point read_point(const struct burn_kernel *kernel)
{
    struct point best = {0};
    uint64_t best_ns = UINT64_MAX;

    for (int i = 0; i < READ_TRIES && best_ns > READ_NS; i++) {
        uint64_t before_ns = clock_now_ns(), took_ns, progress;

        (void)kernel->cuda.cuStreamQuery(
            kernel->streams[0]); /* "not ready" is what it should say */
        progress = burn_kernel_progress(kernel);
        took_ns = clock_now_ns() - before_ns;
        if (took_ns >= best_ns)
            continue;
        best_ns = took_ns;
        best = (struct point){.now_ns = before_ns + took_ns / 2, .progress = progress};
    }
    return best;
}

static double share(const struct burn_watch *watch, const struct point *begin,
                    const struct point *end)
{
    double span_ns = (double)(end->now_ns - begin->now_ns);

    return span_ns > 0 ? 100.0 * (double)(end->progress - begin->progress) / (watch->rate * span_ns)
                       : 0;
}

static void write_trace(const struct state *state, const struct point *begin, double percent)
{
    char line[64];
    int length =
        snprintf(line, sizeof(line), "%llu %.3f\n", (unsigned long long)begin->now_ns, percent);

    if (state->trace_fd >= 0 && write(state->trace_fd, line, (size_t)length) < 0)
        perror("vgpu: burn: trace");
}

/* At the poll that is nearest to a window's end: those come a little before or after their time. */
static bool is_over(const struct point *begin, const struct point *point, uint64_t length_ns)
{
    return point->now_ns + POLL_NS / 2 >= begin->now_ns + length_ns;
}

static void take_point(struct state *state, const struct point *point)
{
    const struct burn_watch *watch = state->watch;

    burn_pause_note(&state->pause, point->now_ns,
                    (uint64_t)((double)(point->progress - state->last.progress) / watch->rate));
    state->last = *point;
    if (watch->trace_path && is_over(&state->trace, point, watch->trace_ns)) {
        write_trace(state, &state->trace, share(watch, &state->trace, point));
        state->trace = *point;
    }
    if (is_over(&state->window, point, WINDOW_NS) && state->window_count < WINDOWS_MAX) {
        state->windows[state->window_count++] = share(watch, &state->window, point);
        state->window = *point;
    }
}

static void finish(struct state *state, const struct point *begin, struct burn_result *result)
{
    result->seconds = (double)(state->last.now_ns - begin->now_ns) / 1e9;
    result->kernels = (state->last.progress - begin->progress) / state->watch->kernel->units;
    result->share_percent = share(state->watch, begin, &state->last);
    result->windows = burn_figures_spread(state->windows, state->window_count);
    result->longest_pause_ms = (double)state->pause.longest_ns / 1e6;
}

static void measure(struct state *state, struct burn_result *result)
{
    uint64_t end_ns = state->watch->begin_ns + state->watch->span_ns, next_ns;
    struct point begin;

    clock_sleep_until_ns(state->watch->begin_ns);
    watch_signals();
    begin = read_point(state->watch->kernel);
    state->window = state->trace = state->last = begin;
    burn_pause_begin(&state->pause, begin.now_ns);
    for (next_ns = state->watch->begin_ns + POLL_NS; next_ns <= end_ns && !is_ended;
         next_ns += POLL_NS) {
        struct point point;

        if (clock_now_ns() > next_ns + POLL_NS)
            continue; /* late: the next one */
        clock_sleep_until_ns(next_ns);
        point = read_point(state->watch->kernel);
        take_point(state, &point);
    }
    finish(state, &begin, result);
}

bool burn_watch_is_ended(void)
{
    return is_ended;
}

int burn_watch_run(const struct burn_watch *watch, struct burn_result *result, struct err *err)
{
    struct state state = {.watch = watch, .trace_fd = -1};

    state.windows = calloc(WINDOWS_MAX, sizeof(*state.windows));
    if (!state.windows)
        return err_set(err, ENOMEM, "measure");
    if (watch->trace_path) {
        state.trace_fd = open(watch->trace_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (state.trace_fd < 0) {
            free(state.windows);
            return err_set(err, errno, "write '%s'", watch->trace_path);
        }
    }
    measure(&state, result);
    attr_close(&state.trace_fd);
    free(state.windows);
    return 0;
}
