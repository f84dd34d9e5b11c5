#pragma once
/*
 * legacy_answer - what the functions of the old system's routes return, as HTTP.
 */
#include <jansson.h>

struct http_answer;

/*
 * Takes the JSON over: a problem from 400 on, which for 401 says how to come again. NULL in, NULL
 * out, as there was no memory.
 */
struct http_answer *legacy_answer_new(int status, json_t *json);
