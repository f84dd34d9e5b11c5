#include "hypervisor/requests.h"

#include "hypervisor/admission.h"
#include "hypervisor/node_state.h"
#include "hypervisor/request.h"
#include "hypervisor/waiting.h"
#include "supervisor/runtime.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_TRIES   1000
#define WAITING_MOST 256 /* each holds its front's socket, and a turn of each look */
#define OF_ONE_MOST  32  /* of one user but root */

static void finish(struct request *request, int status, const char *words)
{
    request->status = status;
    (void)str_format(request->words, sizeof(request->words), "%s", words); /* cut at worst */
    attr_close(&request->front_fd);
    request->done(request);
}

/* --- making one --- */

void requests_finish_creation(struct keeper *keeper, int status, const char *words)
{
    struct request *request = keeper->owner_data;

    keeper->owner_data = NULL;
    if (request)
        finish(request, status, words);
}

static uint32_t mask_of(const struct tenant *tenant)
{
    uint32_t mask = 0;

    for (uint32_t i = 0; i < tenant->gpu_count; i++)
        if (tenant->quotas[i].is_allowed)
            mask |= admission_bit(tenant->cards[i].nvml_index);
    return mask;
}

/* What doctor saw here decides; where it saw nothing, the supervisor will see for itself. */
static void choose_engine(const struct node *node, struct tenant *tenant)
{
    for (uint32_t i = 0; i < tenant->gpu_count; i++)
        if (tenant->quotas[i].is_allowed && node->verdicts[i] == VERDICT_INERT)
            tenant->engine = REGION_ENGINE_MEMORY_ONLY;
}

static int create(struct node *node, struct request *request, const struct list *waiter,
                  struct err *err)
{
    struct admit admit = node_admit(node);
    struct keeper *keeper = node_find(node, request->name);
    struct tenant tenant;
    int rc;

    if (keeper && keeper_has_name(keeper))
        return err_say(err, EEXIST, "the name '%s' is taken by a tenant that is there",
                       request->name);
    /* A former daemon's, without a lock, would take what is made now for its own. */
    if (keeper && keeper->lock_fd < 0)
        keeper_end(keeper);
    rc = admit_create(&admit, request, waiter, &tenant, err);
    if (rc < 0)
        return rc;
    choose_engine(node, &tenant);
    rc = keeper_create(&keeper, &node->keeper_config, &tenant, &request->front_fd, err);
    if (rc < 0)
        node->disk_due_ns = 0; /* it may be the disk: looked at at once */
    if (rc == -ENOSPC)
        return -EIO; /* a full disk is no full GPU: nobody waits for room on it */
    if (rc < 0)
        return rc;
    request->answer_gpu_mask = mask_of(&tenant);
    (void)str_format(request->answer_name, sizeof(request->answer_name), "%s",
                     tenant.name); /* same size */
    keeper->owner_data = request;
    list_append(&node->keepers, &keeper->node);
    node_changed(node);
    return 0;
}

/* NULL: nobody with this name waits. */
static struct waiting *find_waiting(const struct node *node, const char *name)
{
    LIST_EACH(node_at, &node->waiting)
    {
        struct waiting *waiting = CONTAINER_OF(node_at, struct waiting, node);

        if (str_equals(waiting->request->name, name))
            return waiting;
    }
    return NULL;
}

static void make_name(const struct node *node, struct request *request)
{
    for (unsigned int i = 1; i < NAME_TRIES; i++) {
        (void)str_format(request->name, sizeof(request->name), "tenant-%u", i); /* fits */
        if (!node_find(node, request->name) && !find_waiting(node, request->name))
            return;
    }
}

static bool may_wait(const struct node *node, uid_t uid)
{
    uint32_t count = 0, of_one = 0;

    LIST_EACH(node_at, &node->waiting)
    {
        count++;
        of_one += CONTAINER_OF(node_at, struct waiting, node)->request->caller.uid == uid;
    }
    return count < WAITING_MOST && (uid == 0 || of_one < OF_ONE_MOST);
}

/* Who asks at wire speed is not told of at wire speed. */
static bool may_tell(struct node *node, const struct request *request)
{
    return refusal_log_may_tell(&node->refusals, request->caller.uid, clock_now_ns());
}

static int wait_for_room(struct node *node, struct request *request, struct err *err)
{
    struct err why = *err;
    struct waiting *waiting;

    if (!may_wait(node, request->caller.uid))
        return err_say(err, EAGAIN, "too many tenants wait for room already");
    waiting = calloc(1, sizeof(*waiting));
    if (!waiting)
        return err_set(err, ENOMEM, "wait for room");
    waiting->request = request;
    waiting->until_ns =
        clock_now_ns() +
        (request->queue_ns < REQUEST_QUEUE_MOST_NS ? request->queue_ns : REQUEST_QUEUE_MOST_NS);
    list_append(&node->waiting, &waiting->node);
    if (may_tell(node, request))
        node_tell(node, EVENT_TENANT_QUEUED, NULL, "'%s' waits for room", request->name);
    if (request->queued)
        request->queued(request, why.text);
    node_changed(node);
    return 0;
}

static void do_create(struct node *node, struct request *request)
{
    struct err err = {0};
    int rc;

    if (!request->name[0])
        make_name(node, request);
    if (parse_name(request->name, &err) < 0)
        rc = -EINVAL; /* it becomes a path */
    else if (find_waiting(node, request->name))
        rc = err_say(&err, EEXIST, "a tenant '%s' waits for room already", request->name);
    else
        rc = create(node, request, &node->waiting, &err);
    if (rc == -ENOSPC && request->queue_ns)
        rc = wait_for_room(node, request, &err);
    if (rc >= 0)
        return; /* its supervisor's first word finishes it */
    if (may_tell(node, request))
        node_tell(node, EVENT_TENANT_REFUSED, NULL, "'%s': %s", request->name, err.text);
    finish(request, rc, err.text);
}

static void drop(struct node *node, struct waiting *waiting, int status, const char *words)
{
    struct request *request = waiting->request;

    list_remove(&waiting->node);
    free(waiting);
    node_changed(node);
    if (status < 0)
        finish(request, status, words);
}

void requests_retry_waiters(struct node *node)
{
    uint64_t now_ns = clock_now_ns();

    if (node->is_retrying_waiters)
        return; /* one that failed at once came back here */
    node->is_retrying_waiters = true;
    LIST_EACH_SAFE(at, following, &node->waiting)
    {
        struct waiting *waiting = CONTAINER_OF(at, struct waiting, node);
        struct err err = {0};
        int rc;

        if (load_relaxed(&waiting->request->is_abandoned)) {
            drop(node, waiting, -ECONNRESET, "whoever asked has gone");
            continue;
        }
        rc = create(node, waiting->request, &waiting->node, &err);
        if (rc == -ENOSPC && now_ns < waiting->until_ns)
            continue;
        if (rc < 0 && may_tell(node, waiting->request))
            node_tell(node, EVENT_TENANT_REFUSED, NULL, "'%s': %s", waiting->request->name,
                      err.text);
        drop(node, waiting, rc, err.text);
    }
    node->is_retrying_waiters = false;
}

void requests_look(struct node *node)
{
    uint32_t count;
    uid_t uid;

    while (refusal_log_take(&node->refusals, clock_now_ns(), &uid, &count)) {
        char whose[32] = "other users";

        if (uid != REFUSAL_LOG_OTHERS)
            (void)str_format(whose, sizeof(whose), "user %u", uid); /* fits */
        node_tell(node, EVENT_TENANT_REFUSED, NULL,
                  "%u more of %s were refused or waited within a minute", count, whose);
    }
    if (!list_is_empty(&node->waiting))
        requests_retry_waiters(node);
}

void requests_cancel(struct node *node, const struct request *request)
{
    LIST_EACH_SAFE(at, following, &node->waiting)
    {
        struct waiting *waiting = CONTAINER_OF(at, struct waiting, node);

        if (waiting->request == request)
            drop(node, waiting, -ECONNRESET, "whoever asked has gone");
    }
}

void requests_refuse(struct request *request)
{
    finish(request, -ECONNRESET, "the daemon ends");
}

void requests_refuse_all(struct node *node)
{
    LIST_EACH_SAFE(at, following, &node->waiting)
    drop(node, CONTAINER_OF(at, struct waiting, node), -ECONNRESET, "the daemon ends");
    LIST_EACH(at, &node->keepers)
    requests_finish_creation(CONTAINER_OF(at, struct keeper, node), -ECONNRESET, "the daemon ends");
}

/* --- those that are there --- */

/* One answer of a supervisor, for a request. */
static void take_reply(void *context, const struct message_header *message)
{
    struct request *request = context;
    struct message_reply reply;

    if (message->type == MESSAGE_EXPLAINED && request->explanation_count < REGION_GPUS_MAX) {
        memcpy(&request->explanations[request->explanation_count++], message,
               sizeof(request->explanations[0]));
        return;
    }
    if (message->type != MESSAGE_REPLY)
        return;
    memcpy(&reply, message, sizeof(reply));
    finish(request, reply.status, reply.text);
}

static bool may_change(const struct request_caller *caller, uid_t owner)
{
    return caller->is_operator || (caller->uid != (uid_t)-1 && caller->uid == owner);
}

/* What an operator has suspended its user cannot resume, nor make its own by suspending it. */
static int judge_suspension(const struct request_caller *caller, const struct keeper *keeper,
                            struct message_set *limits, struct err *err)
{
    bool is_over_user = caller->is_operator && caller->uid != keeper->tenant.uid;

    if (!limits->is_suspended && keeper->is_held && !caller->is_operator)
        return err_say(err, EPERM, "tenant '%s' was suspended by an operator, who can resume it",
                       keeper->tenant.name);
    if (limits->is_suspended)
        limits->is_suspended = is_over_user || keeper->is_held ? MESSAGE_HELD : 1;
    return 0;
}

static int prepare_set(struct node *node, struct request *request, const struct keeper *keeper,
                       struct err *err)
{
    struct admit admit = node_admit(node);
    struct message_set limits = request->limits;
    int rc = 0;

    message_init(&limits, MESSAGE_SET, sizeof(limits));
    if (request->kind != REQUEST_CHANGE) {
        limits.fields = MESSAGE_SET_SUSPENDED;
        limits.is_suspended = request->kind == REQUEST_SUSPEND;
    }
    if (limits.fields & MESSAGE_SET_SUSPENDED)
        rc = judge_suspension(&request->caller, keeper, &limits, err);
    request->limits = limits;
    if (!rc && limits.fields & ~(uint32_t)MESSAGE_SET_SUSPENDED)
        rc = admit_change(&admit, request, keeper, err);
    return rc;
}

/* One that is not made yet is ended as one that is there: by its user and by operators. */
static void do_to_waiting(struct node *node, struct waiting *waiting, struct request *request)
{
    struct err err;

    if (!may_change(&request->caller, waiting->request->caller.uid)) {
        finish(request, err_say(&err, EPERM, "tenant '%s' belongs to somebody else", request->name),
               err.text);
        return;
    }
    drop(node, waiting, -ECANCELED, "it was deleted while it waited for room");
    finish(request, 0, "");
    requests_retry_waiters(node); /* those behind it */
}

static void do_to_tenant(struct node *node, struct request *request)
{
    struct keeper *keeper = node_find(node, request->name);
    struct message_header explain;
    struct message_end end = {.is_forced = request->is_forced};
    struct err err = {0};
    int rc = 0;

    if (!keeper)
        rc = err_say(&err, ENOENT, "there is no tenant '%s'", request->name);
    else if (request->kind != REQUEST_EXPLAIN && !may_change(&request->caller, keeper->tenant.uid))
        rc = err_say(&err, EPERM, "tenant '%s' belongs to somebody else", request->name);
    else if (!keeper->line)
        rc = err_say(&err, EAGAIN, "tenant '%s' has no supervisor at this moment", request->name);
    else if (request->kind != REQUEST_EXPLAIN && request->kind != REQUEST_DELETE)
        rc = prepare_set(node, request, keeper, &err);
    if (rc < 0) {
        finish(request, rc, err.text);
        return;
    }
    message_init(&explain, MESSAGE_EXPLAIN, sizeof(explain));
    message_init(&end, MESSAGE_END, sizeof(end));
    if (request->kind == REQUEST_EXPLAIN)
        talk_ask(keeper->line, &explain, take_reply, request);
    else if (request->kind == REQUEST_DELETE)
        talk_ask(keeper->line, &end, take_reply, request);
    else {
        if (request->limits.fields & MESSAGE_SET_SUSPENDED)
            keeper->is_held = request->limits.is_suspended == MESSAGE_HELD;
        promise_add(&keeper->promise, &keeper->tenant, &request->limits, clock_now_ns());
        talk_ask(keeper->line, &request->limits, take_reply, request);
    }
}

static void do_reload(const struct node *node, struct request *request)
{
    struct err err = {0};
    int rc;

    if (!request->caller.is_operator)
        rc = err_say(&err, EPERM, "only root may have the configuration read again");
    else if (!node->config.on_reload)
        rc = err_say(&err, EOPNOTSUPP, "there is no configuration to read");
    else
        rc = node->config.on_reload(node->config.context, &err);
    finish(request, rc, err.text);
}

void requests_do(struct node *node, struct request *request)
{
    struct waiting *waiting =
        request->kind == REQUEST_DELETE ? find_waiting(node, request->name) : NULL;

    if (request->kind == REQUEST_CREATE)
        do_create(node, request);
    else if (waiting)
        do_to_waiting(node, waiting, request);
    else if (request->kind == REQUEST_RELOAD)
        do_reload(node, request);
    else
        do_to_tenant(node, request);
}
