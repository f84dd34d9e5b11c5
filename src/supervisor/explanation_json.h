#pragma once
/*
 * explanation_json - why a tenant has what it has, as one JSON document: `vgpu explain --json` and
 * the HTTP API write the same, which docs/openapi.yaml describes (Explanation). Apart from the rest
 * of the supervisor library, because it needs jansson.
 */
#include <jansson.h>
#include <stddef.h>

struct message_explained;

/*
 * {"name","gpus":[...]}: the numbers of each GPU's plan with their units in the names, null for
 * what is not known or not there (no cap, no plan yet, no budget), and explanation.h's sentences.
 * A new reference; NULL: no memory.
 */
json_t *explanation_json_new(const char *name, const struct message_explained *gpus, size_t count);
