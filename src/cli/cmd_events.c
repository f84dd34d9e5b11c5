#include "cli/command.h"
#include "cli/commands.h"
#include "cli/event_reader.h"
#include "cli/event_text.h"
#include "cli/http_client.h"
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

#define HEAD_MS        5000
#define RETRY_MS       500
#define SAMPLES_HZ_MAX 10
#define BRIEF_NS       NS_PER_SEC /* a connection that ends sooner was sent away */
#define PROBLEM_MAX    4096

/* What one connection ended with. */
enum outcome { FINISHED, LOST, FAILED };

struct watch {
    char path[RUNTIME_PATH_MAX + 4];
    bool as_json, is_following;
    uint64_t samples_hz;
    struct http_client client;
    struct event_reader stream;
    char *line;                /* owned; EVENT_READER_DATA_MAX and a little */
    char problem[PROBLEM_MAX]; /* the body of an answer that is no stream */
    size_t problem_length;
    bool is_reader_gone, has_event; /* on this connection */
    uint64_t connected_ns;
};

#define LINE_MAX_BYTES (2 * EVENT_READER_DATA_MAX)

static int print_event(void *context, const struct event_reader_event *event, struct err *err)
{
    struct watch *watch = context;
    struct str text;
    int rc;

    watch->has_event = true;
    str_init(&text, watch->line, LINE_MAX_BYTES);
    rc = event_text_write(event, watch->as_json, &text, err);
    if (rc < 0)
        return rc;
    if (fwrite(text.text, 1, text.length, stdout) == text.length && fflush(stdout) == 0)
        return 0;
    watch->is_reader_gone = errno == EPIPE;
    return err_set(err, errno, "write an event");
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

static int connect_daemon(struct watch *watch, struct err *err)
{
    char target[128], headers[128];
    uint64_t number;
    struct str text;
    int rc;

    str_init(&text, target, sizeof(target));
    /* Without a number the stream begins with what happens from now on. */
    str_add(&text, "/api/v1/events?follow=%s", watch->is_following ? "true" : "false&after=0");
    if (watch->samples_hz)
        str_add(&text, "&samples_hz=%llu", (unsigned long long)watch->samples_hz);
    str_init(&text, headers, sizeof(headers));
    str_add(&text, "Accept: text/event-stream\r\n");
    if (parse_u64(&number, watch->stream.id, 0, UINT64_MAX, NULL) == 0)
        str_add(&text, "Last-Event-ID: %llu\r\n", (unsigned long long)number);
    rc = http_client_open(&watch->client, watch->path, target, headers, err);
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
    json_t *problem;
    const char *detail;
    struct err err;

    if (watch->client.answer.state != ANSWER_READER_DONE && read_on(watch, HEAD_MS, &err) < 0)
        log_debug("events: %s", err.text);
    problem = json_loads(watch->problem, 0, NULL);
    detail = json_string_value(json_object_get(problem, "detail"));
    log_error("events: vgpu-hypervisor refuses: %s (status %u)",
              detail ? detail : "no reason given", watch->client.answer.status);
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
    if (rc < 0 && !watch->is_following) {
        log_error("events: %s", err.text);
        return FAILED;
    }
    return watch->is_following ? LOST : FINISHED;
}

/* Tries until the daemon is back; false where nobody reads what is printed any more. */
static bool reconnect(struct watch *watch)
{
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
            return false;
    } while (connect_daemon(watch, &err) < 0 && !watch->is_reader_gone);
    if (watch->is_reader_gone)
        return false;
    log_warn("events: vgpu-hypervisor is back");
    return true;
}

static int run(struct watch *watch)
{
    enum outcome outcome;
    struct err err;

    if (connect_daemon(watch, &err) < 0) {
        if (watch->is_reader_gone)
            return COMMAND_OK;
        log_error("events: %s: events need vgpu-hypervisor, the daemon", err.text);
        return COMMAND_FAILED;
    }
    do {
        outcome = follow(watch);
        http_client_close(&watch->client);
    } while (outcome == LOST && reconnect(watch));
    return outcome == FAILED ? COMMAND_FAILED : COMMAND_OK;
}

static int read_options(struct watch *watch, const struct command_line *line)
{
    const char *samples = command_value(line, "samples");
    struct err err;

    if (line->operand_count)
        return command_usage_error(line, "'%s' is one word too many", line->operands[0]);
    watch->as_json = command_has(line, "json");
    if (samples && parse_u64(&watch->samples_hz, samples, 1, SAMPLES_HZ_MAX, &err) < 0)
        return command_usage_error(line, "--samples: %s", err.text);
    watch->is_following = command_has(line, "follow") || samples;
    return COMMAND_OK;
}

int cmd_events(const struct command_line *line)
{
    CLEANUP_FREE struct watch *watch = calloc(1, sizeof(*watch));
    struct runtime runtime;
    struct err err;
    int status;

    if (!watch || !(watch->line = malloc(LINE_MAX_BYTES))) {
        log_error("events: out of memory");
        return COMMAND_FAILED;
    }
    status = read_options(watch, line);
    if (!status && runtime_open(&runtime, &err) < 0) {
        log_error("events: %s", err.text);
        status = COMMAND_FAILED;
    }
    if (!status) {
        (void)str_format(watch->path, sizeof(watch->path), "%s/api", runtime.base); /* fits */
        /* A reader that has gone is told by the write, so that we end quietly. */
        (void)signal(SIGPIPE, SIG_IGN); /* a known signal: it cannot fail */
        event_reader_init(&watch->stream, print_event, watch);
        status = run(watch);
        event_reader_fini(&watch->stream);
    }
    free(watch->line);
    return status;
}
