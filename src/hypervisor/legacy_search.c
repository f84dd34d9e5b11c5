#include "hypervisor/legacy_search.h"

#include "hypervisor/http_answer.h"
#include "hypervisor/http_request.h"
#include "hypervisor/http_server.h"
#include "hypervisor/legacy_answer.h"
#include "utils/atomics.h"
#include "utils/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_NS (5 * NS_PER_SEC) /* as long as limiters of the old kind wait */

/*
 * A search, held by the connection that waits for it and, until it is done, by the thread; the last
 * one frees it.
 */
struct job {
    struct http_later later;     /* first: the server knows it by this */
    _Atomic uint32_t references; /* relaxed up, ordered down */
    _Atomic bool is_done;        /* released by the thread after status and json were written */
    struct legacy_caller caller;
    struct legacy_view view;
    struct snapshot *snapshot; /* held */
    char *container_name, *container_pid;
    int status;
    json_t *json;
    struct job *next; /* of those that wait */
};

struct legacy_search {
    struct http_server *server;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct job *first; /* the oldest */
    bool is_stopping;
};

static struct job *job_of(struct http_later *later)
{
    return CONTAINER_OF(later, struct job, later);
}

static void release(struct job *job)
{
    /* Ordered: the other holder is done with it before it is freed. */
    if (sub_ordered(&job->references, 1) != 1)
        return;
    snapshot_release(job->snapshot);
    json_decref(job->json);
    free(job->container_name);
    free(job->container_pid);
    free(job);
}

/* --- on the HTTP server's threads ------------------------------------------------------------ */

static bool is_ready(struct http_later *later)
{
    /* Pairs with the store in look(): the answer is there with it. */
    return load_acquire(&job_of(later)->is_done);
}

static void answer(struct http_request *request, struct http_later *later, bool is_late)
{
    struct job *job = job_of(later);
    json_t *json;

    if (is_late) {
        json = json_pack("{s:b, s:n, s:s}", "success", 0, "data", "message",
                         "the process was not found in time");
        http_reply(request, legacy_answer_new(200, json));
        return;
    }
    json = job->json;
    job->json = NULL;
    http_reply(request, legacy_answer_new(job->status, json));
}

static void on_released(struct http_later *later)
{
    release(job_of(later));
}

static bool copy(char **ret_copy, const char *text)
{
    *ret_copy = text ? strdup(text) : NULL;
    return !text || *ret_copy;
}

/* With one reference; NULL: no memory. */
static struct job *new_job(const struct legacy_view *view, struct snapshot *snapshot,
                           const struct legacy_process_query *query)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    job->later = (struct http_later){is_ready, answer, on_released, NULL};
    store_relaxed(&job->references, 1);
    job->caller = *view->caller;
    job->snapshot = snapshot_hold(snapshot);
    job->view = *view;
    job->view.caller = &job->caller;
    job->view.snapshot = snapshot;
    if (copy(&job->container_name, query->container_name) &&
        copy(&job->container_pid, query->container_pid))
        return job;
    release(job);
    return NULL;
}

/* Takes the thread's reference in; false: too many wait. */
static bool add(struct legacy_search *search, struct job *job)
{
    uint32_t all = 0, of_pod = 0;
    struct job **last = &search->first;
    bool has_room;

    (void)pthread_mutex_lock(&search->lock); /* these two fail for misuse only */
    for (; *last; last = &(*last)->next) {
        all++;
        of_pod += pod_name_equals(&(*last)->caller.pod, &job->caller.pod);
    }
    has_room = all < LEGACY_SEARCH_WAITING_MAX && of_pod < LEGACY_SEARCH_WAITING_POD_MAX;
    if (has_room) {
        (void)add_relaxed(&job->references, 1);
        *last = job;
        (void)pthread_cond_signal(&search->changed); /* cannot fail */
    }
    (void)pthread_mutex_unlock(&search->lock);
    return has_room;
}

void legacy_search_post(struct legacy_search *search, struct http_request *request,
                        const struct legacy_view *view, struct snapshot *snapshot,
                        const struct legacy_process_query *query)
{
    struct job *job = new_job(view, snapshot, query);
    json_t *json;

    if (!job) {
        http_reply(request, NULL);
        return;
    }
    if (add(search, job)) {
        http_reply_later(request, &job->later, TIMEOUT_NS);
        return;
    }
    release(job);
    (void)legacy_caller_problem(503, "too many processes are being looked for", &json); /* 503 */
    http_reply(request, legacy_answer_new(503, json));
}

/* --- on the thread --------------------------------------------------------------------------- */

static void look(struct legacy_search *search, struct job *job)
{
    const struct legacy_process_query query = {job->container_name, job->container_pid, "/proc"};

    /* The thread's alone: whoever waited has hung up. */
    if (load_relaxed(&job->references) != 1) {
        job->status = legacy_api_process(&job->view, &query, &job->json);
        /* Pairs with the load in is_ready(). */
        store_release(&job->is_done, true);
        http_server_kick(search->server);
    }
    release(job);
}

static void *run(void *context)
{
    struct legacy_search *search = context;

    (void)pthread_mutex_lock(&search->lock); /* locks and conditions fail for misuse only */
    while (!search->is_stopping) {
        struct job *job = search->first;

        if (!job) {
            (void)pthread_cond_wait(&search->changed, &search->lock);
            continue;
        }
        search->first = job->next;
        (void)pthread_mutex_unlock(&search->lock);
        look(search, job);
        (void)pthread_mutex_lock(&search->lock);
    }
    (void)pthread_mutex_unlock(&search->lock);
    return NULL;
}

static int start(struct legacy_search *search)
{
    sigset_t all, before;
    int rc;

    (void)pthread_mutex_init(&search->lock, NULL); /* neither can fail without attributes */
    (void)pthread_cond_init(&search->changed, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&search->thread, NULL, run, search);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int legacy_search_new(struct legacy_search **ret_search, struct http_server *server,
                      struct err *err)
{
    struct legacy_search *search = calloc(1, sizeof(*search));
    int rc = ENOMEM;

    if (search) {
        search->server = server;
        rc = start(search);
    }
    if (rc) {
        free(search);
        return err_set(err, rc, "start the thread that looks for processes");
    }
    *ret_search = search;
    return 0;
}

void legacy_search_free(struct legacy_search *search)
{
    if (!search)
        return;
    (void)pthread_mutex_lock(&search->lock); /* these fail for misuse only */
    search->is_stopping = true;
    (void)pthread_cond_signal(&search->changed);
    (void)pthread_mutex_unlock(&search->lock);
    (void)pthread_join(search->thread, NULL);
    while (search->first) {
        struct job *job = search->first;

        search->first = job->next;
        release(job);
    }
    (void)pthread_cond_destroy(&search->changed);
    (void)pthread_mutex_destroy(&search->lock);
    free(search);
}
