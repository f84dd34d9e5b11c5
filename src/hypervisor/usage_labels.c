#include "hypervisor/usage_labels.h"

#include "utils/str.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>

/* What a line has of its own. */
static const char *const taken[] = {"node", "pool", "uuid", "worker", "namespace", "workload"};

static bool is_taken(const struct usage_labels *labels, const char *tag)
{
    for (size_t i = 0; i < ARRAY_LENGTH(taken); i++)
        if (str_equals(taken[i], tag))
            return true;
    for (size_t i = 0; i < labels->count; i++)
        if (str_equals(labels->labels[i].tag, tag))
            return true;
    return false;
}

static int add(struct usage_labels *labels, const char *key, const json_t *value, struct err *err)
{
    struct usage_label *label = &labels->labels[labels->count];
    const char *tag = json_string_value(value);

    if (!tag || !tag[0])
        return err_say(err, EINVAL, "the tag for label '%s' is no name", key);
    if (is_taken(labels, tag))
        return err_say(err, EINVAL, "there is a tag '%s' already", tag);
    if (labels->count == USAGE_LABELS_MAX)
        return err_say(err, E2BIG, "more than %d labels", USAGE_LABELS_MAX);
    if (!str_format(label->key, sizeof(label->key), "%s", key) ||
        !str_format(label->tag, sizeof(label->tag), "%s", tag))
        return err_say(err, E2BIG, "the label '%.32s' or its tag is too long", key);
    labels->count++;
    return 0;
}

static int add_all(struct usage_labels *labels, json_t *object, struct err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        int rc = add(labels, key, value, err);

        if (rc < 0)
            return rc;
    }
    return 0;
}

int usage_labels_parse(struct usage_labels *ret_labels, const char *json, struct err *err)
{
    struct usage_labels labels = {.count = 0};
    json_error_t error;
    json_t *root;
    int rc = 0;

    if (json && json[0]) {
        root = json_loads(json, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
        if (!root)
            return err_say(err, EINVAL, "the extra labels are no JSON: %s", error.text);
        if (json_is_object(root))
            rc = add_all(&labels, root, err);
        else if (!json_is_null(root))
            rc = err_say(err, EINVAL, "the extra labels are no JSON object");
        json_decref(root);
    }
    if (rc < 0)
        return rc;
    *ret_labels = labels;
    return 0;
}
