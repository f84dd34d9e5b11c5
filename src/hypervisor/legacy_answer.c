#include "hypervisor/legacy_answer.h"

#include "hypervisor/http_answer.h"
#include "hypervisor/json_value.h"
#include "hypervisor/problem.h"
#include "utils/attr.h"

#include <string.h>

struct http_answer *legacy_answer_new(int status, json_t *json)
{
    CLEANUP_FREE char *text = json ? json_value_write(json) : NULL;
    struct http_answer *answer = NULL;

    json_decref(json);
    if (text)
        answer = http_answer_new(&(struct http_answer_content){
            .status = (unsigned int)status,
            .type = status < 400 ? "application/json" : PROBLEM_CONTENT_TYPE,
            .bytes = text,
            .size = strlen(text)});
    if (status == 401)
        http_answer_add(answer, "WWW-Authenticate", "Bearer realm=\"vgpu\"");
    if (status == 503)
        http_answer_add(answer, "Retry-After", "1");
    return answer;
}
