#include "hypervisor/api_tenants.h"

#include "hypervisor/log_levels.h"
#include "hypervisor/request.h"
#include "hypervisor/snapshot.h"
#include "utils/clock.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <jansson.h>

#define NUMBER_SIZE 48

/* What members are read into. */
struct reading {
    struct request *request;
    const struct snapshot *snapshot; /* NULL: there are no GPUs to choose */
};

struct member {
    const char *name;
    int (*read)(struct reading *reading, const json_t *value, struct err *err);
};

static void free_json(json_t **json)
{
    json_decref(*json);
}

/* Whether the number has at most three decimals, as good as a double can say. */
static bool is_thousandths(double real)
{
    double rest;

    if (!(real >= 0 && real <= 1e9))
        return false;
    rest = real * 1000 - (double)(int64_t)(real * 1000 + 0.5);
    return rest > -1e-6 && rest < 1e-6;
}

/* The value's text, or its number as people would write it; NULL: it is neither. */
static const char *value_text(const json_t *value, char buffer[NUMBER_SIZE])
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        (void)str_format(buffer, NUMBER_SIZE, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value) && is_thousandths(json_real_value(value)))
        (void)str_format(buffer, NUMBER_SIZE, "%.3f", json_real_value(value)); /* both fit */
    else
        return NULL;
    return buffer;
}

static int read_memory(struct reading *reading, const json_t *value, struct err *err)
{
    struct message_set *limits = &reading->request->limits;
    struct parse_size size = {.bytes = REGION_NO_LIMIT};
    char buffer[NUMBER_SIZE];
    const char *text = json_is_real(value) ? NULL : value_text(value, buffer);
    int rc = 0;

    if (!json_is_null(value))
        rc = text ? parse_size(&size, text, err)
                  : err_say(err, EINVAL, "bytes, or text like \"8GiB\" or \"40%%\", or null");
    if (rc < 0)
        return rc;
    limits->fields |= MESSAGE_SET_MEMORY;
    limits->memory_bytes = size.bytes;
    limits->memory_milli_percent = size.milli_percent;
    return 0;
}

static int read_compute(struct reading *reading, const json_t *value, struct err *err)
{
    struct message_set *limits = &reading->request->limits;
    uint32_t milli_percent = 100000;
    char buffer[NUMBER_SIZE];
    const char *text = value_text(value, buffer);
    int rc = 0;

    if (!json_is_null(value))
        rc = text ? parse_percent(&milli_percent, text, err)
                  : err_say(err, EINVAL, "a percentage with at most three decimals, or null");
    if (rc < 0)
        return rc;
    limits->fields |= MESSAGE_SET_COMPUTE;
    limits->cap_milli_percent = milli_percent;
    return 0;
}

static int read_weight(struct reading *reading, const json_t *value, struct err *err)
{
    json_int_t weight = json_integer_value(value); /* 0 where it is no integer */

    if (weight < 1 || weight > 1000)
        return err_say(err, EINVAL, "a whole number between 1 and 1000");
    reading->request->limits.fields |= MESSAGE_SET_WEIGHT;
    reading->request->limits.weight = (uint32_t)weight;
    return 0;
}

static int read_priority(struct reading *reading, const json_t *value, struct err *err)
{
    static const uint32_t priorities[] = {REGION_LOW, REGION_NORMAL, REGION_HIGH};
    const char *text = json_string_value(value);

    for (size_t i = 0; text && i < ARRAY_LENGTH(priorities); i++) {
        if (!str_equals(text, snapshot_priority_word(priorities[i])))
            continue;
        reading->request->limits.fields |= MESSAGE_SET_PRIORITY;
        reading->request->limits.priority = priorities[i];
        return 0;
    }
    return err_say(err, EINVAL, "one of \"high\", \"normal\", \"low\"");
}

static int read_name(struct reading *reading, const json_t *value, struct err *err)
{
    const char *text = json_string_value(value);

    if (!text)
        return err_say(err, EINVAL, "text");
    if (parse_name(text, err) < 0)
        return -EINVAL;
    (void)str_format(reading->request->name, sizeof(reading->request->name), "%s",
                     text); /* fits: a name has 63 characters at most */
    return 0;
}

static const struct snapshot_gpu *find_gpu(const struct snapshot *snapshot, const json_t *value)
{
    const char *uuid = json_string_value(value);

    for (uint32_t i = 0; i < snapshot->gpu_count; i++) {
        const struct snapshot_gpu *gpu = &snapshot->gpus[i];

        if (gpu->nvml_index >= 32)
            continue;
        if (uuid ? str_equals(uuid, gpu->uuid)
                 : json_is_integer(value) && json_integer_value(value) == gpu->nvml_index)
            return gpu;
    }
    return NULL;
}

static int read_gpus(struct reading *reading, const json_t *value, struct err *err)
{
    uint32_t mask = 0;

    if (!json_is_array(value) || json_array_size(value) == 0)
        return err_say(err, EINVAL, "a list of indices and UUIDs");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const struct snapshot_gpu *gpu = find_gpu(reading->snapshot, json_array_get(value, i));

        if (!gpu)
            return err_say(err, EINVAL, "no GPU of this node is meant by number %zu of the list",
                           i + 1);
        mask |= 1u << gpu->nvml_index;
    }
    reading->request->gpu_mask = mask;
    return 0;
}

static int read_on_loss(struct reading *reading, const json_t *value, struct err *err)
{
    const char *text = json_string_value(value);
    bool is_open = text && str_equals(text, "open");

    if (!is_open && (!text || !str_equals(text, "closed")))
        return err_say(err, EINVAL, "\"open\" or \"closed\"");
    reading->request->on_loss = is_open ? REGION_OPEN : REGION_CLOSED;
    return 0;
}

static int read_queue(struct reading *reading, const json_t *value, struct err *err)
{
    double seconds = json_number_value(value);

    if (!json_is_number(value) || !(seconds >= 0 && seconds <= API_QUEUE_SECONDS_MAX))
        return err_say(err, EINVAL, "a number between 0 and %d", API_QUEUE_SECONDS_MAX);
    reading->request->queue_ns = (uint64_t)(seconds * (double)NS_PER_SEC);
    return 0;
}

static int read_suspended(struct reading *reading, const json_t *value, struct err *err)
{
    if (!json_is_boolean(value))
        return err_say(err, EINVAL, "true or false");
    reading->request->limits.fields |= MESSAGE_SET_SUSPENDED;
    reading->request->limits.is_suspended = json_is_true(value);
    return 0;
}

static const struct member create_members[] = {
    {"name", read_name},       {"memory", read_memory},       {"compute", read_compute},
    {"weight", read_weight},   {"priority", read_priority},   {"gpus", read_gpus},
    {"on_loss", read_on_loss}, {"queue_seconds", read_queue}, {NULL, NULL},
};
static const struct member change_members[] = {
    {"memory", read_memory},     {"compute", read_compute},     {"weight", read_weight},
    {"priority", read_priority}, {"suspended", read_suspended}, {NULL, NULL},
};

static int read_member(struct reading *reading, const struct member *members, const char *name,
                       const json_t *value, struct err *err)
{
    for (; members->name; members++) {
        if (!str_equals(members->name, name))
            continue;
        return members->read(reading, value, err) < 0 ? err_wrap(err, "\"%s\"", name) : 0;
    }
    return err_say(err, EINVAL, "\"%s\" is not known here", name);
}

/* The body's object; NULL: it is none. */
static json_t *load(const char *body, size_t size, struct err *err)
{
    json_error_t where;
    json_t *object = json_loadb(body, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);

    if (json_is_object(object))
        return object;
    if (object)
        (void)err_say(err, EINVAL, "the body is no JSON object");
    else
        (void)err_say(err, EINVAL, "the body is no JSON: %s (line %d)", where.text, where.line);
    json_decref(object);
    return NULL;
}

static int read_body(struct reading *reading, const struct member *members, const char *body,
                     size_t size, struct err *err)
{
    CLEANUP(free_json) json_t *object = load(body, size, err);
    const char *name;
    json_t *value;

    if (!object)
        return -EINVAL;
    /* clang-format off */
    json_object_foreach(object, name, value) {
        /* clang-format on */
        int rc = read_member(reading, members, name, value, err);

        if (rc < 0)
            return rc;
    }
    return 0;
}

int api_tenants_read_create(struct request *request, const struct snapshot *snapshot,
                            const char *body, size_t size, struct err *err)
{
    struct reading reading = {.request = request, .snapshot = snapshot};

    message_init(&request->limits, MESSAGE_SET, sizeof(request->limits));
    request->limits.gpu_mask = UINT32_MAX;
    request->kind = REQUEST_CREATE;
    request->is_kept = true;
    request->front_fd = -1;
    return read_body(&reading, create_members, body, size, err);
}

int api_tenants_read_change(struct request *request, const char *body, size_t size, struct err *err)
{
    struct reading reading = {.request = request};
    int rc;

    message_init(&request->limits, MESSAGE_SET, sizeof(request->limits));
    request->limits.gpu_mask = UINT32_MAX;
    request->front_fd = -1;
    rc = read_body(&reading, change_members, body, size, err);
    if (rc < 0)
        return rc;
    if (!request->limits.fields)
        return err_say(err, EINVAL, "nothing is changed by this");
    request->kind = REQUEST_CHANGE;
    if (request->limits.fields == MESSAGE_SET_SUSPENDED)
        request->kind = request->limits.is_suspended ? REQUEST_SUSPEND : REQUEST_RESUME;
    return 0;
}

int api_tenants_read_flag(bool *ret_flag, const char *text, struct err *err)
{
    bool is_true = text && str_equals(text, "true");

    if (text && *text && !is_true && !str_equals(text, "false"))
        return err_say(err, EINVAL, "'%s' is neither true nor false", text);
    *ret_flag = is_true;
    return 0;
}

int api_tenants_read_levels(struct log_levels *ret_levels, const char *body, size_t size,
                            struct err *err)
{
    CLEANUP(free_json) json_t *object = load(body, size, err);
    const char *text = json_string_value(json_object_get(object, "level"));

    if (!object)
        return -EINVAL;
    /* An empty text is read as the default, which nobody means who sends it. */
    if (!text || !*text || json_object_size(object) != 1)
        return err_say(err, EINVAL, "{\"level\": \"info,http=debug\"} or the like is wanted");
    return log_levels_parse(ret_levels, text, err);
}
