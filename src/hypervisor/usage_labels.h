#pragma once
/*
 * usage_labels - which labels of a pod become tags of its lines: `metrics-extra-labels`, a JSON
 * object of label to tag, {"team": "team_tag", ...}.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>

#define USAGE_LABELS_MAX      12
#define USAGE_LABELS_TEXT_MAX 320 /* a key of Kubernetes has up to 317 characters */

struct usage_labels {
    struct usage_label {
        char key[USAGE_LABELS_TEXT_MAX]; /* of the pod's label */
        char tag[64];
    } labels[USAGE_LABELS_MAX];
    size_t count;
};

/*
 * NULL, "" and `null` are no labels. -EINVAL where it is not such an object or gives a name that a
 * line has already, or one name twice; -E2BIG for too many or too long ones.
 */
int usage_labels_parse(struct usage_labels *ret_labels, const char *json,
                       struct err *err) MUST_CHECK;
