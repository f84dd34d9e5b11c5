/*
 * The libFuzzer target of all that the HTTP server reads: the first byte says as what the rest is
 * read. A target that was taken has to be taken apart within its own memory, and whoever is taken
 * for us must not be named with anything but an address or one of our names.
 */
#include "hypervisor/api_tenants.h"
#include "hypervisor/event_stream.h"
#include "hypervisor/http_guard.h"
#include "hypervisor/http_listener.h"
#include "hypervisor/http_target.h"
#include "hypervisor/log_levels.h"
#include "hypervisor/request.h"
#include "hypervisor/snapshot.h"
#include "hypervisor/token_file.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_target(const char *text)
{
    static struct http_target target;

    if (http_target_parse(&target, text, NULL) < 0)
        return;
    for (size_t i = 0; i < target.segment_count; i++)
        if (target.segments[i] < target.text ||
            target.segments[i] + strlen(target.segments[i]) >= target.text + sizeof(target.text))
            abort();
    for (size_t i = 0; i < target.query_count; i++)
        if (!*target.query[i].name ||
            http_target_query(&target, target.query[i].name) != target.query[i].value)
            abort();
}

static void read_host(const char *text)
{
    static const struct http_guard_names names = {.address = "127.0.0.1", .others = "a b.c"};

    if (!http_guard_host_is_ours(text, &names))
        return;
    if (strpbrk(text, "/@ \t\r\n?#"))
        abort();
    (void)http_guard_origin_is_ours(text, NULL, text); /* it must not crash */
    (void)http_guard_is_json(text);
}

/* Fields, one a line, as they are after the library has taken them apart. */
static void read_fields(char *text)
{
    struct http_guard_framing framing = {0};
    char *rest;

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *colon = strchr(line, ':');

        if (!colon)
            return;
        *colon = '\0';
        if (http_guard_add_field(&framing, line, colon + 1, NULL) < 0)
            return;
    }
    if (http_guard_check_framing(&framing, NULL) == 0 && framing.length_count &&
        framing.encoding_count)
        abort();
}

static void read_tokens(const char *text, size_t size)
{
    struct token_file *file = NULL;
    struct token_grant grant;

    if (token_file_parse(&file, text, size, NULL) < 0)
        return;
    (void)token_file_find(file, text, &grant); /* it must not crash */
    token_file_free(file);
}

static void read_body(const char *text, size_t size, bool is_create)
{
    static struct request request;
    static struct snapshot *snapshot;

    if (!snapshot)
        snapshot = snapshot_new(0);
    if (!snapshot)
        abort();
    snapshot->gpu_count = 2;
    (void)str_format(snapshot->gpus[0].uuid, sizeof(snapshot->gpus[0].uuid), "GPU-0");
    snapshot->gpus[1].nvml_index = 1;
    memset(&request, 0, sizeof(request));
    if (is_create) {
        if (api_tenants_read_create(&request, snapshot, text, size, NULL) == 0 &&
            ((request.name[0] && parse_name(request.name, NULL) < 0) || request.gpu_mask > 3))
            abort();
    } else if (api_tenants_read_change(&request, text, size, NULL) == 0 && !request.limits.fields) {
        abort();
    }
    if (request.limits.fields & MESSAGE_SET_COMPUTE &&
        (request.limits.cap_milli_percent < 1 || request.limits.cap_milli_percent > 100000))
        abort();
}

/* All words of an event stream's start are the same text, and each of them alone is. */
static void read_stream(const char *text)
{
    const struct event_stream_words all[] = {
        {text, text, text, text}, {.after = text},  {.last_event_id = text},
        {.samples_hz = text},     {.follow = text},
    };
    struct event_stream_start start;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (event_stream_parse(&start, &all[i], NULL) == 0 && all[i].samples_hz &&
            (start.sample_period_ns < 100000000 || start.sample_period_ns > UINT64_C(10000000000)))
            abort();
}

static void read_others(const char *text, size_t size)
{
    struct http_listener_address address;
    struct log_levels levels;
    bool flag;

    (void)!http_listener_parse(&address, text, NULL); /* these must not crash */
    (void)!api_tenants_read_levels(&levels, text, size, NULL);
    (void)!api_tenants_read_flag(&flag, text, NULL);
    read_stream(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (!size)
        return 0;
    text = malloc(size);
    if (!text)
        abort();
    size--;
    memcpy(text, data + 1, size);
    text[size] = '\0';
    switch (data[0] % 7) {
    case 0:
        read_target(text);
        break;
    case 1:
        read_host(text);
        break;
    case 2:
        read_fields(text);
        break;
    case 3:
        read_tokens(text, size);
        break;
    case 4:
    case 5:
        read_body(text, size, data[0] % 7 == 4);
        break;
    default:
        read_others(text, size);
        break;
    }
    free(text);
    return 0;
}
