#pragma once
/*
 * api_explain - why a tenant gets what it gets, as numbers and in sentences: the supervisor's last
 * plan (struct message_explained) for those who ask over HTTP.
 */
#include <jansson.h>

struct message_explained;
struct request;

/* {"name","gpus":[...]} of an EXPLAIN's answer; a new reference, NULL: no memory. */
json_t *api_explain_json(const struct request *request);

/* The sentences of one GPU, those of explanation.h: an array; a new reference, NULL: no memory. */
json_t *api_explain_sentences(const struct message_explained *explained);
