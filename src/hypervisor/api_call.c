#include "hypervisor/api_call.h"

#include "hypervisor/backend.h"
#include "hypervisor/http_answer.h"
#include "hypervisor/http_clock.h"
#include "hypervisor/http_server.h"
#include "hypervisor/problem.h"
#include "utils/atomics.h"

#include <stdlib.h>

struct api_call {
    struct http_later later; /* first: the server knows the call by it */
    struct request request;
    _Atomic uint32_t references; /* relaxed up, ordered down */
    _Atomic bool is_done;        /* released by the loop after the answer was written */
    struct http_clock *clock;    /* held */
    const struct backend *backend;
    api_call_answer *answer;
};

/* Another connection that waits for the same. */
struct guest {
    struct http_later later; /* first: the server knows the guest by it */
    struct api_call *call;   /* held */
};

static struct api_call *call_of(struct http_later *later)
{
    return CONTAINER_OF(later, struct api_call, later);
}

static void release(struct api_call *call)
{
    /* Ordered: the other holder is done with it before it is freed. */
    if (sub_ordered(&call->references, 1) != 1)
        return;
    http_clock_release(call->clock);
    free(call->request.context);
    free(call);
}

bool api_call_is_done(const struct api_call *call)
{
    /* Pairs with the store in on_done(): the answer is there with it. */
    return load_acquire(&call->is_done);
}

static bool is_ready(struct http_later *later)
{
    return api_call_is_done(call_of(later));
}

static void answer_failure(struct http_request *http, const struct request *request)
{
    struct problem problem = problem_of_status(request->status, request->words);
    struct http_answer *answer = http_answer_new_problem(&problem);

    if (problem.status == 429 || problem.status == 503)
        http_answer_add(answer, "Retry-After", "1");
    http_reply(http, answer);
}

static void answer_call(struct http_request *http, const struct api_call *call, bool is_late)
{
    if (is_late)
        http_reply_problem(http, 504, "no-answer",
                           "the daemon has not answered in time; it may still do what was asked");
    else if (call->request.status < 0)
        answer_failure(http, &call->request);
    else
        call->answer(http, &call->request, call->backend);
}

static void answer(struct http_request *http, struct http_later *later, bool is_late)
{
    answer_call(http, call_of(later), is_late);
}

static void on_abandoned(struct http_later *later)
{
    store_relaxed(&call_of(later)->request.is_abandoned, true);
}

static void on_released(struct http_later *later)
{
    on_abandoned(later); /* also where its time was over or the connection broke */
    release(call_of(later));
}

static void on_done(struct request *request)
{
    struct api_call *call = CONTAINER_OF(request, struct api_call, request);

    /* Pairs with the load in is_ready(). */
    store_release(&call->is_done, true);
    http_clock_kick(call->clock);
    release(call);
}

struct api_call *api_call_new(struct http_server *server, const struct backend *backend,
                              const struct http_request *http)
{
    struct api_call *call = calloc(1, sizeof(*call));

    if (!call)
        return NULL;
    call->later = (struct http_later){is_ready, answer, on_released, on_abandoned};
    call->request.caller = http_request_caller(http)->identity;
    call->request.front_fd = -1;
    call->request.done = on_done;
    call->clock = http_clock_hold(http_server_clock(server));
    call->backend = backend;
    store_relaxed(&call->references, 1);
    return call;
}

void api_call_free(struct api_call *call)
{
    if (call)
        release(call);
}

struct api_call *api_call_hold(struct api_call *call)
{
    (void)add_relaxed(&call->references, 1);
    return call;
}

static struct guest *guest_of(struct http_later *later)
{
    return CONTAINER_OF(later, struct guest, later);
}

static bool is_guest_ready(struct http_later *later)
{
    return api_call_is_done(guest_of(later)->call);
}

static void answer_guest(struct http_request *http, struct http_later *later, bool is_late)
{
    answer_call(http, guest_of(later)->call, is_late);
}

static void on_guest_released(struct http_later *later)
{
    release(guest_of(later)->call);
    free(guest_of(later));
}

void api_call_join(struct api_call *call, struct http_request *http, uint64_t timeout_ns)
{
    struct guest *guest = calloc(1, sizeof(*guest));

    if (!guest) {
        http_reply_problem(http, 500, NULL, "there is no memory");
        return;
    }
    guest->later = (struct http_later){is_guest_ready, answer_guest, on_guest_released, NULL};
    guest->call = api_call_hold(call);
    http_reply_later(http, &guest->later, timeout_ns);
}

struct request *api_call_request(struct api_call *call)
{
    return &call->request;
}

void api_call_post(struct api_call *call, struct http_request *http, api_call_answer *answered,
                   uint64_t timeout_ns)
{
    call->answer = answered;
    (void)api_call_hold(call); /* the loop's */
    http_reply_later(http, &call->later, timeout_ns);
    call->backend->post(call->backend->context, &call->request);
}
