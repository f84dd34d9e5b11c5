#pragma once
/*
 * pod_name - which pod something belongs to. Both parts become names of directories and stand in
 * JSON, so what is valid is narrow, and nothing else is ever opened or shown.
 */
#include <stdbool.h>
#include <stddef.h>

struct pod_name {
    char namespace[64]; /* as Kubernetes has it: at most 63 characters */
    char name[254];     /* at most 253 */
};

/* [A-Za-z0-9][A-Za-z0-9_.-]*, shorter than `size`: never empty, hidden, `.`, `..`, with a `/`. */
bool pod_name_is_part(const char *text, size_t size);

/* Fills it; false, and nothing is filled, where a part is not valid. */
bool pod_name_set(struct pod_name *ret_pod, const char *namespace, const char *name);

bool pod_name_equals(const struct pod_name *a, const struct pod_name *b);
