#include "cli/event_text.h"

#include "cli/event_reader.h"
#include "cli/plain_text.h"
#include "utils/str.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#define TIME_MAX 32
#define WORD_MAX 192

/* The string at `key` made safe, or `otherwise`. */
static void copy_word(char ret_word[WORD_MAX], const json_t *object, const char *key,
                      const char *otherwise)
{
    const char *value = json_string_value(json_object_get(object, key));

    plain_text_copy(ret_word, WORD_MAX, value && *value ? value : otherwise);
}

static void write_time(const json_t *object, struct str *text)
{
    const json_t *unix_ms = json_object_get(object, "unix_ms");
    time_t seconds = (time_t)(json_integer_value(unix_ms) / 1000);
    char words[TIME_MAX];
    struct tm local;

    if (json_is_integer(unix_ms) && localtime_r(&seconds, &local) &&
        strftime(words, sizeof(words), "%Y-%m-%d %H:%M:%S", &local))
        str_add(text, "%s  ", words);
    else
        str_add(text, "%-19s  ", "-");
}

static void write_sample_tenant(const json_t *tenant, struct str *text)
{
    const json_t *gpus = json_object_get(tenant, "gpus"), *gpu;
    char name[WORD_MAX];
    size_t i;

    copy_word(name, tenant, "name", "-");
    str_add(text, "  %s", name);
    json_array_foreach(gpus, i, gpu)
    {
        const json_t *used = json_object_get(gpu, "compute_used_percent");

        if (json_is_number(used))
            str_add(text, "%s%.1f%%", i ? "/" : " ", json_number_value(used));
        else
            str_add(text, "%s-", i ? "/" : " ");
    }
}

static void write_sample(const json_t *object, struct str *text)
{
    const json_t *tenants = json_object_get(object, "tenants"), *tenant;
    size_t i;

    write_time(object, text);
    str_add(text, "sample");
    json_array_foreach(tenants, i, tenant) write_sample_tenant(tenant, text);
    str_add(text, "\n");
}

static void write_line(const json_t *object, const char *kind, struct str *text)
{
    const json_t *pid = json_object_get(object, "pid");
    char safe_kind[WORD_MAX], tenant[WORD_MAX], words[WORD_MAX];

    plain_text_copy(safe_kind, sizeof(safe_kind), kind);
    copy_word(tenant, object, "tenant", "-");
    copy_word(words, object, "text", "");
    if (json_is_integer(pid)) {
        char with_pid[WORD_MAX + 24];

        (void)str_format(with_pid, sizeof(with_pid), "%s[%lld]", tenant,
                         (long long)json_integer_value(pid)); /* fits */
        plain_text_copy(tenant, sizeof(tenant), with_pid);
    }
    write_time(object, text);
    str_add(text, "%-20s  %-20s  %s\n", safe_kind, tenant, words);
}

static int write_json(json_t *object, const char *kind, struct str *text, struct err *err)
{
    char *dump = NULL;

    if (!json_object_get(object, "kind") &&
        json_object_set_new(object, "kind", json_string(kind)) < 0)
        return err_say(err, EPROTO, "an event's name is none");
    dump = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (!dump)
        return err_set(err, ENOMEM, "write an event");
    str_add(text, "%s\n", dump);
    free(dump);
    return 0;
}

int event_text_write(const struct event_reader_event *event, bool as_json, struct str *text,
                     struct err *err)
{
    json_t *object = json_loads(event->data, JSON_REJECT_DUPLICATES, NULL);
    int rc = 0;

    if (!json_is_object(object)) {
        json_decref(object);
        return err_say(err, EPROTO, "an event is no JSON object");
    }
    if (as_json)
        rc = write_json(object, event->name, text, err);
    else if (str_equals(event->name, "sample"))
        write_sample(object, text);
    else
        write_line(object, event->name, text);
    json_decref(object);
    return rc;
}
