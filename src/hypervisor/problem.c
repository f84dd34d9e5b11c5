#include "hypervisor/problem.h"

#include "hypervisor/json_value.h"
#include "utils/str.h"

#include <errno.h>
#include <stddef.h>

static const struct title {
    unsigned int status;
    const char *words;
} titles[] = {
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {421, "Misdirected Request"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const struct meaning {
    int code; /* positive errno */
    unsigned int status;
    const char *type;
} meanings[] = {
    {ENOENT, 404, "no-such-tenant"},
    {EEXIST, 409, "name-taken"},
    {EBUSY, 409, "in-use"},
    {ENOSPC, 409, "no-room"},
    {EPERM, 403, "not-allowed"},
    {EINVAL, 400, "bad-value"},
    {ERANGE, 400, "bad-value"},
    {EOPNOTSUPP, 501, "not-supported"},
    {EAGAIN, 429, "too-much-at-once"},
    {ECANCELED, 409, "deleted"},
    {ETIMEDOUT, 504, "no-answer"},
    /* The supervisor, or the daemon, has ended: the next one can be asked soon. */
    {ECONNRESET, 503, "has-ended"},
    {ECONNREFUSED, 503, "has-ended"},
    {EPIPE, 503, "has-ended"},
};

const char *problem_title(unsigned int status)
{
    for (size_t i = 0; i < ARRAY_LENGTH(titles); i++)
        if (titles[i].status == status)
            return titles[i].words;
    return "Unknown";
}

json_t *problem_json(const struct problem *problem)
{
    json_t *detail = problem->detail ? json_value_text(problem->detail) : NULL;
    char type[96] = "about:blank";

    if (problem->type)
        (void)str_format(type, sizeof(type), "urn:vgpu:problem:%s",
                         problem->type); /* ours: short */
    return json_pack("{s:s, s:s, s:i, s:o*}", "type", type, "title", problem_title(problem->status),
                     "status", (int)problem->status, "detail", detail);
}

char *problem_text(const struct problem *problem)
{
    json_t *object = problem_json(problem);
    char *text;

    if (!object)
        return NULL;
    text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

struct problem problem_of_status(int status, const char *detail)
{
    struct problem problem = {.status = 500, .detail = detail && *detail ? detail : NULL};

    for (size_t i = 0; i < ARRAY_LENGTH(meanings); i++) {
        if (meanings[i].code != -status)
            continue;
        problem.status = meanings[i].status;
        problem.type = meanings[i].type;
    }
    return problem;
}
