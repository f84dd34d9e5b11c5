#include "cli/command.h"
#include "cli/commands.h"
#include "cli/event_reader.h"
#include "cli/event_text.h"
#include "cli/http_client.h"
#include "cli/node_client.h"
#include "cli/plain_text.h"
#include "supervisor/runtime.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEAD_MS      5000
#define RETRY_MS     500
#define MILLI_HZ_MIN 100
#define BRIEF_NS     NS_PER_SEC /* a connection that ends sooner was sent away */
#define PROBLEM_MAX  4096

#define PATHS_MAX 2
#define PATH_SIZE (RUNTIME_PATH_MAX + 4)

/* How one connection goes on, or what it ended with. */
enum outcome { CONNECTED, FINISHED, LOST, FAILED };

struct watch {
    char paths[PATHS_MAX][PATH_SIZE]; /* where the daemon may listen, the likeliest first */
    size_t path_count;
    const char *path; /* where it did */
    bool as_json, is_following;
    uint64_t samples_milli_hz; /* 0: none */
    struct http_client client;
    struct event_reader stream;
    char *line;                /* owned; EVENT_READER_DATA_MAX and a little */
    char problem[PROBLEM_MAX]; /* the body of an answer that is no stream */
    size_t problem_length;
    bool is_reader_gone, is_sink_broken, has_event; /* the last one: on this connection */
    uint64_t connected_ns;
};

#define LINE_MAX_BYTES (2 * EVENT_READER_DATA_MAX)

static int print_event(void *context, const struct event_reader_event *event, struct err *err)
{
    struct watch *watch = context;
    struct str text;
    int rc;

    watch->has_event = true;
    watch->is_sink_broken = true; /* unless it goes well: another connection would not help */
    str_init(&text, watch->line, LINE_MAX_BYTES);
    rc = event_text_write(event, watch->as_json, &text, err);
    if (rc < 0)
        return rc;
    if (fwrite(text.text, 1, text.length, stdout) != text.length || fflush(stdout) != 0) {
        watch->is_reader_gone = errno == EPIPE;
        if (watch->is_reader_gone)
            clearerr(stdout); /* that is no failure of ours */
        return err_set(err, errno, "write an event");
    }
    watch->is_sink_broken = false;
    return 0;
}

static int take_body(void *context, const char *bytes, size_t size, struct err *err)
{
    struct watch *watch = context;

    if (watch->client.answer.status == 200)
        return event_reader_feed(&watch->stream, bytes, size, err);
    for (size_t i = 0; i < size && watch->problem_length + 1 < PROBLEM_MAX; i++)
        watch->problem[watch->problem_length++] = bytes[i];
    watch->problem[watch->problem_length] = '\0';
    return 0;
}

/* Asks where it may listen, until somebody answers; the words are of the first that does not. */
static int open_any(struct watch *watch, const char *target, const char *headers, struct err *err)
{
    int rc = -ENOENT;

    for (size_t i = 0; rc < 0 && i < watch->path_count; i++) {
        rc = http_client_open(&watch->client, watch->paths[i], target, headers, i ? NULL : err);
        watch->path = watch->paths[i];
    }
    return rc;
}

static int connect_daemon(struct watch *watch, struct err *err)
{
    char target[128], headers[128];
    uint64_t number;
    struct str text;
    int rc;

    str_init(&text, target, sizeof(target));
    /* Without a number the stream begins with what happens from now on. */
    str_add(&text, "/api/v1/events?follow=%s", watch->is_following ? "true" : "false&after=0");
    if (watch->samples_milli_hz)
        str_add(&text, "&samples_hz=%llu.%03llu",
                (unsigned long long)watch->samples_milli_hz / 1000,
                (unsigned long long)watch->samples_milli_hz % 1000);
    str_init(&text, headers, sizeof(headers));
    str_add(&text, "Accept: text/event-stream\r\n");
    if (parse_u64(&number, watch->stream.id, 0, UINT64_MAX, NULL) == 0)
        str_add(&text, "Last-Event-ID: %llu\r\n", (unsigned long long)number);
    rc = open_any(watch, target, headers, err);
    if (rc < 0)
        return rc;
    event_reader_restart(&watch->stream);
    watch->problem_length = 0;
    watch->has_event = false;
    watch->connected_ns = clock_now_ns();
    http_client_set_sink(&watch->client, take_body, watch);
    rc = http_client_read_head(&watch->client, HEAD_MS, err);
    if (rc < 0)
        http_client_close(&watch->client);
    return rc;
}

/* Returns 1 where there is something to read, 0 where not, -EPIPE where nobody reads us. */
static int wait_for_event(struct watch *watch, int timeout_ms, bool is_connected, struct err *err)
{
    struct pollfd fds[] = {{.fd = STDOUT_FILENO},
                           {.fd = is_connected ? watch->client.fd : -1, .events = POLLIN}};

    if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
        return err_set(err, errno, "wait for events");
    if (!(fds[0].revents & (POLLERR | POLLHUP)))
        return fds[1].revents != 0;
    watch->is_reader_gone = true;
    return err_set(err, EPIPE, "write an event");
}

/* Reads up to the answer's end, or until nothing has come for so long (-1: for ever). */
static int read_on(struct watch *watch, int quiet_ms, struct err *err)
{
    int rc = http_client_read(&watch->client, err);

    while (rc == 1 || rc == -EAGAIN) {
        rc = wait_for_event(watch, quiet_ms, true, err);
        if (rc < 0)
            return rc;
        if (!rc && quiet_ms >= 0)
            return err_say(err, ETIMEDOUT, "the answer does not end");
        rc = http_client_read(&watch->client, err);
    }
    return rc;
}

static enum outcome explain_refusal(struct watch *watch)
{
    char shown[PROBLEM_MAX] = "no reason given";
    json_t *problem;
    const char *detail;
    struct err err;

    if (watch->client.answer.state != ANSWER_READER_DONE && read_on(watch, HEAD_MS, &err) < 0)
        log_debug("events: %s", err.text);
    problem = json_loads(watch->problem, 0, NULL);
    detail = json_string_value(json_object_get(problem, "detail"));
    if (detail)
        plain_text_copy(shown, sizeof(shown), detail); /* it may end on a terminal */
    log_error("events: vgpu-hypervisor refuses: %s (status %u)", shown,
              watch->client.answer.status);
    json_decref(problem);
    return FAILED;
}

/* One connection, from its head on. */
static enum outcome follow(struct watch *watch)
{
    struct err err;
    int rc;

    if (watch->client.answer.status != 200)
        return explain_refusal(watch);
    if (!watch->client.answer.is_event_stream) {
        log_error("events: what answers on '%s' is not vgpu-hypervisor", watch->path);
        return FAILED;
    }
    rc = watch->client.answer.state == ANSWER_READER_DONE ? 0 : read_on(watch, -1, &err);
    if (watch->is_reader_gone)
        return FINISHED;
    if (rc < 0 && (watch->is_sink_broken || !watch->is_following)) {
        log_error("events: %s", err.text);
        return FAILED;
    }
    return watch->is_following ? LOST : FINISHED;
}

/* Tries to connect once; LOST: nobody answers. */
static enum outcome try(struct watch *watch, struct err *err)
{
    if (connect_daemon(watch, err) == 0)
        return CONNECTED;
    if (watch->is_reader_gone)
        return FINISHED;
    return watch->is_sink_broken ? FAILED : LOST;
}

/* Tries until the daemon is back, or nobody reads what is printed any more. */
static enum outcome reconnect(struct watch *watch)
{
    enum outcome outcome;
    struct err err;

    log_warn("events: the connection to vgpu-hypervisor has ended, trying again");
    /* What we have read up to is not kept any more: to ask for it again would be no better. */
    if (!watch->has_event && clock_now_ns() - watch->connected_ns < BRIEF_NS &&
        watch->stream.id[0]) {
        log_warn("events: some of them are lost, going on with the next");
        watch->stream.id[0] = watch->stream.next_id[0] = '\0';
    }
    do {
        /* First of all, so that one who hangs up at once is not asked without a pause. */
        if (wait_for_event(watch, RETRY_MS, false, &err) < 0)
            return FINISHED;
        outcome = try(watch, &err);
    } while (outcome == LOST);
    if (outcome == CONNECTED)
        log_warn("events: vgpu-hypervisor is back");
    else if (outcome == FAILED)
        log_error("events: %s", err.text);
    return outcome;
}

static int run(struct watch *watch)
{
    struct err err;
    enum outcome outcome = try(watch, &err);

    if (outcome == LOST)
        log_error("events: %s: events need vgpu-hypervisor, the daemon", err.text);
    else if (outcome == FAILED)
        log_error("events: %s", err.text);
    while (outcome == CONNECTED) {
        outcome = follow(watch);
        http_client_close(&watch->client);
        if (outcome == LOST)
            outcome = reconnect(watch);
    }
    return outcome == FINISHED ? COMMAND_OK : COMMAND_FAILED;
}

/* Where a daemon may listen: the one of the machine, or this user's own. */
static int find_paths(struct watch *watch, struct err *err)
{
    const char *given = getenv("VGPU_API_SOCKET");
    struct runtime runtime;
    bool fits;
    int rc = 0;

    watch->path_count = 1;
    if (given && *given) {
        fits = str_format(watch->paths[0], PATH_SIZE, "%s", given);
    } else {
        fits = str_format(watch->paths[0], PATH_SIZE, "%s/api", node_client_base());
        rc = runtime_find(&runtime, err);
        if (!rc && !str_equals(runtime.base, node_client_base())) {
            (void)str_format(watch->paths[1], PATH_SIZE, "%s/api", runtime.base); /* fits */
            watch->path_count = 2;
        }
    }
    return fits ? rc : err_say(err, ENAMETOOLONG, "the path of the daemon's socket is too long");
}

static int read_options(struct watch *watch, const struct command_line *line)
{
    const char *samples = command_value(line, "samples");
    uint64_t billionths;

    if (line->operand_count)
        return command_usage_error(line, "'%s' is one word too many", line->operands[0]);
    watch->as_json = command_has(line, "json");
    if (samples) {
        /* A number of times a second and one of seconds are written alike. */
        if (parse_seconds(&billionths, samples, NULL) < 0)
            return command_usage_error(line, "--samples: '%s' is no number", samples);
        watch->samples_milli_hz = billionths / (NS_PER_SEC / 1000);
        if (watch->samples_milli_hz < MILLI_HZ_MIN || billionths > 10 * NS_PER_SEC)
            return command_usage_error(line, "--samples: '%s' is not from 0.1 to 10", samples);
    }
    watch->is_following = command_has(line, "follow") || samples;
    return COMMAND_OK;
}

int cmd_events(const struct command_line *line)
{
    CLEANUP_FREE struct watch *watch = calloc(1, sizeof(*watch));
    struct err err;
    int status;

    if (!watch || !(watch->line = malloc(LINE_MAX_BYTES))) {
        log_error("events: out of memory");
        return COMMAND_FAILED;
    }
    status = read_options(watch, line);
    if (!status && find_paths(watch, &err) < 0) {
        log_error("events: %s", err.text);
        status = COMMAND_FAILED;
    }
    if (!status) {
        /* A reader that has gone is told by the write, so that we end quietly. */
        (void)signal(SIGPIPE, SIG_IGN); /* a known signal: it cannot fail */
        event_reader_init(&watch->stream, print_event, watch);
        status = run(watch);
        event_reader_fini(&watch->stream);
    }
    free(watch->line);
    return status;
}
