#include "tests/harness.h"
#include "tests/unit/node_world.h"

#include "hypervisor/requests.h"
#include "utils/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOMEBODY 4294967000u
#define THREADS  4
#define OF_EACH  50

static struct node_world *world;

static void start(const char *behaviour)
{
    world = node_world_start(behaviour);
}

static int create(const char *name, uint64_t memory_bytes)
{
    struct request request = node_world_create(name, memory_bytes);

    return node_world_do(&request);
}

static struct request somebody_s(enum request_kind kind, const char *name)
{
    struct request request = node_world_request(kind, name);

    request.caller = (struct request_caller){.uid = SOMEBODY, .gid = SOMEBODY};
    return request;
}

static int create_for_somebody(const char *name, uint64_t memory_bytes)
{
    struct request request = node_world_create(name, memory_bytes);

    request.caller = (struct request_caller){.uid = SOMEBODY, .gid = SOMEBODY};
    return node_world_do(&request);
}

static void set_memory(struct request *request, uint64_t bytes)
{
    request->limits = (struct message_set){
        .fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX, .memory_bytes = bytes};
}

/* --- new tenants --- */

TEST(a_tenant_is_made_and_shown)
{
    struct request request;

    start("answer");
    request = node_world_create("a", 10 * GIB);
    request.gpu_mask = 0;
    CHECK_EQ(node_world_do(&request), 0);
    CHECK_STR_EQ(request.answer_name, "a");
    CHECK_EQ(request.answer_gpu_mask, 1);
    CHECK(node_world_becomes("a", "running"));
    node_world_stop();
}

TEST(one_without_a_name_is_given_one)
{
    struct request first, second;

    start("answer");
    first = node_world_create("", GIB);
    second = node_world_create("", GIB);
    CHECK_EQ(node_world_do(&first), 0);
    CHECK_EQ(node_world_do(&second), 0);
    CHECK_STR_EQ(first.answer_name, "tenant-1");
    CHECK_STR_EQ(second.answer_name, "tenant-2");
    node_world_stop();
}

TEST(a_name_that_is_no_name_is_no_path_either)
{
    static const char *const names[] = {"../up", "a/b", ".", "..", "/etc", "a b", "-x", "\n"};

    start("answer");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK_EQ(create(names[i], GIB), -EINVAL);
    CHECK(list_is_empty(&world->node->keepers));
    node_world_stop();
}

TEST(a_name_is_given_once)
{
    struct request request;

    start("answer");
    CHECK_EQ(create("a", GIB), 0);
    request = node_world_create("a", GIB);
    request.queue_ns = NS_PER_SEC;
    CHECK_EQ(node_world_do(&request), -EEXIST);
    CHECK(strstr(request.words, "taken"));
    node_world_stop();
}

TEST(a_supervisor_that_never_begins_is_told)
{
    struct request request;

    start("die");
    request = node_world_create("a", GIB);
    CHECK_EQ(node_world_do(&request), -EIO);
    CHECK(request.words[0]);
    CHECK(list_is_empty(&world->node->keepers));
    node_world_behave("answer");
    CHECK_EQ(create("a", GIB), 0); /* and the name is free */
    node_world_stop();
}

TEST(a_full_disk_is_no_full_gpu)
{
    struct request request;
    int ends[2];

    start("answer");
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    world->is_disk_full = true;
    request = node_world_create("a", GIB);
    request.queue_ns = NS_PER_SEC;
    request.front_fd = ends[0];
    CHECK_EQ(node_world_do(&request), -EIO);
    CHECK_EQ(request.front_fd, -1);
    CHECK(list_is_empty(&world->node->waiting));
    world->is_disk_full = false;
    CHECK_EQ(create("a", GIB), 0);
    close(ends[1]);
    node_world_stop();
}

/* --- those that are there --- */

TEST(only_its_owner_and_an_operator_change_a_tenant)
{
    struct request request;

    start("answer");
    CHECK_EQ(create("root-s", GIB), 0);
    CHECK_EQ(create_for_somebody("somebody-s", GIB), 0);
    request = somebody_s(REQUEST_CHANGE, "root-s");
    set_memory(&request, GIB / 2);
    CHECK_EQ(node_world_do(&request), -EPERM);
    request = somebody_s(REQUEST_DELETE, "root-s");
    CHECK_EQ(node_world_do(&request), -EPERM);
    request = somebody_s(REQUEST_SUSPEND, "root-s");
    CHECK_EQ(node_world_do(&request), -EPERM);
    request = somebody_s(REQUEST_EXPLAIN, "root-s"); /* anybody may look */
    CHECK_EQ(node_world_do(&request), 0);
    request = somebody_s(REQUEST_CHANGE, "somebody-s");
    set_memory(&request, 2 * GIB);
    CHECK_EQ(node_world_do(&request), 0);
    request = node_world_request(REQUEST_CHANGE, "somebody-s");
    set_memory(&request, 3 * GIB);
    CHECK_EQ(node_world_do(&request), 0);
    node_world_stop();
}

TEST(a_token_is_no_user_s)
{
    struct request request;

    start("answer");
    request = node_world_create("a", GIB);
    request.caller = (struct request_caller){.uid = (uid_t)-1, .gid = (gid_t)-1};
    CHECK_EQ(node_world_do(&request), 0);
    request = node_world_request(REQUEST_DELETE, "a");
    request.caller = (struct request_caller){.uid = (uid_t)-1, .gid = (gid_t)-1};
    CHECK_EQ(node_world_do(&request), -EPERM);
    request.caller.is_operator = true;
    request.context = NULL;
    CHECK_EQ(node_world_do(&request), 0);
    node_world_stop();
}

TEST(a_tenant_that_is_not_there_is_not_found)
{
    static const enum request_kind kinds[] = {REQUEST_CHANGE, REQUEST_DELETE, REQUEST_SUSPEND,
                                              REQUEST_RESUME, REQUEST_EXPLAIN};

    start("answer");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct request request = node_world_request(kinds[i], "nobody");

        CHECK_EQ(node_world_do(&request), -ENOENT);
    }
    node_world_stop();
}

TEST(a_change_that_does_not_fit_is_refused)
{
    struct request request;

    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    CHECK_EQ(create("b", 10 * GIB), 0);
    request = node_world_request(REQUEST_CHANGE, "b");
    set_memory(&request, 31 * GIB);
    CHECK_EQ(node_world_do(&request), -ENOSPC);
    request.context = NULL;
    set_memory(&request, 30 * GIB);
    CHECK_EQ(node_world_do(&request), 0);
    node_world_stop();
}

TEST(two_changes_at_once_do_not_both_have_the_same_room)
{
    struct request first, second;

    start("answer");
    CHECK_EQ(create("a", 10 * GIB), 0);
    CHECK_EQ(create("b", 10 * GIB), 0);
    first = node_world_request(REQUEST_CHANGE, "a");
    second = node_world_request(REQUEST_CHANGE, "b");
    set_memory(&first, 60 * GIB);
    set_memory(&second, 60 * GIB);
    node_world_post(&first);
    CHECK_EQ(node_world_do(&second), -ENOSPC);
    CHECK(node_world_wait_done(&first));
    CHECK_EQ(first.status, 0);
    node_world_stop();
}

TEST(a_second_change_does_not_give_away_what_the_first_was_promised)
{
    struct request first, second;

    start("answer");
    CHECK_EQ(create("a", 8 * GIB), 0);
    first = node_world_request(REQUEST_CHANGE, "a");
    second = node_world_request(REQUEST_CHANGE, "a");
    set_memory(&first, 60 * GIB);
    second.limits =
        (struct message_set){.fields = MESSAGE_SET_WEIGHT, .gpu_mask = UINT32_MAX, .weight = 2};
    node_world_post(&first);
    node_world_post(&second);
    CHECK_EQ(create("b", 60 * GIB), -ENOSPC);
    CHECK(node_world_wait_done(&second));
    CHECK_EQ(first.status, 0);
    CHECK_EQ(second.status, 0);
    node_world_stop();
}

TEST(a_tenant_is_suspended_and_resumed)
{
    struct request request;

    start("answer");
    CHECK_EQ(create("a", GIB), 0);
    request = node_world_request(REQUEST_SUSPEND, "a");
    CHECK_EQ(node_world_do(&request), 0);
    CHECK(node_world_becomes("a", "suspended"));
    request = node_world_request(REQUEST_RESUME, "a");
    CHECK_EQ(node_world_do(&request), 0);
    CHECK(node_world_becomes("a", "running"));
    node_world_stop();
}

static struct request somebody_resumes(void)
{
    struct request request = somebody_s(REQUEST_CHANGE, "s");

    request.limits = (struct message_set){.fields = MESSAGE_SET_SUSPENDED, .gpu_mask = UINT32_MAX};
    return request;
}

TEST(what_an_operator_has_suspended_its_user_does_not_resume)
{
    struct request suspend, again, resume;
    struct err err;

    start("answer");
    CHECK_EQ(create_for_somebody("s", GIB), 0);
    suspend = node_world_request(REQUEST_SUSPEND, "s");
    node_world_post(&suspend);
    resume = somebody_resumes(); /* at once, before its supervisor knows */
    CHECK_EQ(node_world_do(&resume), -EPERM);
    CHECK(strstr(resume.words, "operator"));
    CHECK(node_world_becomes("s", "suspended"));
    again = somebody_s(REQUEST_SUSPEND, "s"); /* which makes it no user's */
    CHECK_EQ(node_world_do(&again), 0);
    node_world_end_node(); /* a new daemon knows it, too */
    CHECK_OK(node_new(&world->node, &world->config, &err), &err);
    CHECK(node_world_becomes("s", "suspended"));
    resume = somebody_s(REQUEST_RESUME, "s");
    CHECK_EQ(node_world_do(&resume), -EPERM);
    resume = node_world_request(REQUEST_RESUME, "s");
    CHECK_EQ(node_world_do(&resume), 0);
    CHECK(node_world_becomes("s", "running"));
    again = somebody_s(REQUEST_SUSPEND, "s"); /* its own: it resumes it */
    CHECK_EQ(node_world_do(&again), 0);
    CHECK(node_world_becomes("s", "suspended"));
    resume = somebody_resumes();
    CHECK_EQ(node_world_do(&resume), 0);
    CHECK(node_world_becomes("s", "running"));
    node_world_stop();
}

static bool has_none(void *context)
{
    (void)context;
    return list_is_empty(&world->node->keepers);
}

TEST(a_tenant_that_is_deleted_is_gone)
{
    struct request request;

    start("answer");
    CHECK_EQ(create("a", GIB), 0);
    request = node_world_request(REQUEST_DELETE, "a");
    CHECK_EQ(node_world_do(&request), 0);
    CHECK(node_world_wait_for(has_none, NULL));
    CHECK_EQ(create("a", 80 * GIB), 0);
    node_world_stop();
}

/* --- the configuration --- */

TEST(the_configuration_is_read_again_for_an_operator_alone)
{
    struct request request;

    start("answer");
    request = somebody_s(REQUEST_RELOAD, "");
    CHECK_EQ(node_world_do(&request), -EPERM);
    CHECK_EQ(world->reloads, 0);
    request = node_world_request(REQUEST_RELOAD, "");
    CHECK_EQ(node_world_do(&request), 0);
    CHECK_EQ(world->reloads, 1);
    world->reload_status = -EINVAL;
    request.context = NULL;
    CHECK_EQ(node_world_do(&request), -EINVAL);
    CHECK_STR_EQ(request.words, "line 7 is wrong");
    world->node->config.on_reload = NULL;
    request.context = NULL;
    CHECK_EQ(node_world_do(&request), -EOPNOTSUPP);
    node_world_stop();
}

/* --- each is answered once, whatever happens --- */

TEST(all_that_wait_are_answered_when_the_daemon_ends)
{
    struct request starting, waiting, asked, late;

    start("answer");
    CHECK_EQ(create("full", 60 * GIB), 0);
    node_world_behave("silent");
    starting = node_world_create("starting", GIB);
    node_world_post(&starting);
    CHECK(node_world_becomes("starting", "starting"));
    asked = node_world_request(REQUEST_EXPLAIN, "starting");
    waiting = node_world_create("waiting", 60 * GIB);
    waiting.queue_ns = UINT64_MAX;
    node_world_post(&asked);
    node_world_post(&waiting);
    CHECK(node_world_becomes("waiting", "queued"));
    late = node_world_create("late", GIB);
    node_stop(world->node);
    node_world_post(&late);
    node_world_end_node();
    CHECK_EQ(starting.status, -ECONNRESET);
    CHECK_EQ(waiting.status, -ECONNRESET);
    CHECK_EQ(asked.status, -ECONNRESET);
    CHECK_EQ(late.status, -ECONNRESET);
    CHECK_EQ(node_world_done_count(&starting), 1);
    CHECK_EQ(node_world_done_count(&waiting), 1);
    CHECK_EQ(node_world_done_count(&asked), 1);
    CHECK_EQ(node_world_done_count(&late), 1);
    node_world_stop();
}

struct poster {
    pthread_t thread;
    struct request requests[OF_EACH];
};

static void *post_all(void *context)
{
    struct poster *poster = context;

    for (int i = 0; i < OF_EACH; i++) {
        poster->requests[i] = node_world_request(REQUEST_EXPLAIN, "nobody");
        node_world_post(&poster->requests[i]);
        snapshot_release(node_backend(world->node)->get_snapshot(world->node));
    }
    return NULL;
}

static bool is_all_done(void *context)
{
    const struct poster *posters = context;

    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < OF_EACH; j++)
            if (!node_world_is_done(&posters[i].requests[j]))
                return false;
    return true;
}

TEST(any_thread_may_ask)
{
    static struct poster posters[THREADS];

    memset(posters, 0, sizeof(posters));
    start("answer");
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    for (int i = 0; i < 20; i++)
        (void)uv_run(node_loop(world->node), UV_RUN_ONCE);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(posters[i].thread, NULL), 0);
    CHECK(node_world_wait_for(is_all_done, posters));
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < OF_EACH; j++)
            CHECK_EQ(node_world_done_count(&posters[i].requests[j]), 1);
    node_world_stop();
}

/* --- what is told of it --- */

/* How many events of a kind there are of this daemon. */
static uint32_t count_events(enum event_kind kind)
{
    static struct event events[EVENT_LOG_LENGTH];
    struct event_log *log = node_backend(world->node)->events;
    int count = event_log_read(log, event_log_before(log), events, EVENT_LOG_LENGTH);
    uint32_t found = 0;

    for (int i = 0; i < count; i++)
        found += events[i].kind == kind;
    return found;
}

static bool has_told(void *context)
{
    return count_events(*(const enum event_kind *)context) > 0;
}

TEST(another_supervisor_is_told_and_a_tenant_that_was_there_is_none_that_is_made)
{
    enum event_kind started = EVENT_SUPERVISOR_STARTED;
    struct err err;

    start("answer");
    CHECK_EQ(create("a", GIB), 0);
    CHECK_EQ(count_events(EVENT_TENANT_CREATED), 1);
    CHECK_EQ(count_events(EVENT_SUPERVISOR_STARTED), 0);
    CHECK_EQ(kill(node_find(world->node, "a")->process.pid, SIGKILL), 0);
    CHECK(node_world_wait_for(has_told, &started));
    CHECK_EQ(count_events(EVENT_TENANT_CREATED), 1);
    node_world_end_node();
    CHECK_OK(node_new(&world->node, &world->config, &err), &err);
    CHECK(node_world_becomes("a", "running"));
    CHECK_EQ(count_events(EVENT_TENANT_CREATED), 0);
    CHECK_EQ(count_events(EVENT_SUPERVISOR_STARTED), 0);
    node_configure(world->node, &world->config);
    CHECK_EQ(count_events(EVENT_CONFIGURATION_LOADED), 1);
    node_world_stop();
}

TEST(a_user_s_refusals_are_told_so_often_and_no_more)
{
    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(create_for_somebody("b", 50 * GIB), -ENOSPC);
    CHECK_EQ(count_events(EVENT_TENANT_REFUSED), 20);
    CHECK_EQ(create("b", 50 * GIB), -ENOSPC); /* another's */
    CHECK_EQ(count_events(EVENT_TENANT_REFUSED), 21);
    world->node->refusals.users[0].since_ns -= 61 * NS_PER_SEC;
    requests_look(world->node);
    CHECK_EQ(count_events(EVENT_TENANT_REFUSED), 22);
    node_world_stop();
}

static void spoil_state(const char *name)
{
    char path[RUNTIME_PATH_MAX];
    struct tenant tenant;

    CHECK_EQ(runtime_path(&world->node->runtime, name, "state", path, NULL), 0);
    CHECK_EQ(tenant_load(&tenant, path, NULL), 0);
    tenant.version++;
    CHECK_EQ(tenant_save(&tenant, path, NULL), 0);
}

TEST(a_tenant_of_another_version_is_let_be_and_told)
{
    struct err err;

    start("answer");
    CHECK_EQ(create("a", GIB), 0);
    spoil_state("a");
    node_world_end_node();
    CHECK_OK(node_new(&world->node, &world->config, &err), &err);
    CHECK(list_is_empty(&world->node->keepers));
    CHECK_EQ(count_events(EVENT_TENANT_REFUSED), 1);
    node_world_stop();
}

/* --- after a former daemon --- */

TEST(a_new_daemon_takes_over_what_it_finds)
{
    struct err err;

    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    node_world_end_node();
    CHECK_OK(node_new(&world->node, &world->config, &err), &err);
    CHECK_EQ(create("b", 50 * GIB), -ENOSPC); /* what was promised is promised */
    CHECK(node_world_becomes("a", "running"));
    node_world_stop();
}

TEST(a_name_that_comes_free_has_one_keeper)
{
    const struct keeper *keeper;
    struct err err;

    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    node_world_end_node();
    CHECK_OK(node_new(&world->node, &world->config, &err), &err);
    keeper = node_find(world->node, "a");
    CHECK(keeper && keeper->lock_fd < 0);
    runtime_remove(&world->node->runtime, "a"); /* as its supervisor does in the end */
    CHECK_EQ(create("a", 60 * GIB), 0);
    CHECK(world->node->keepers.next == world->node->keepers.previous);
    CHECK(node_find(world->node, "a")->is_child);
    node_world_stop();
}

static bool is_reaped(void *context)
{
    return kill(*(const pid_t *)context, 0) < 0;
}

TEST(the_supervisor_of_a_name_that_is_given_again_is_waited_for)
{
    pid_t former;

    start("answer");
    CHECK_EQ(create("a", GIB), 0);
    former = node_find(world->node, "a")->process.pid;
    runtime_remove(&world->node->runtime, "a"); /* it is about to exit */
    CHECK_EQ(create("a", GIB), 0);
    CHECK_EQ(kill(former, SIGKILL), 0);
    CHECK(node_world_wait_for(is_reaped, &former));
    CHECK(world->node->keepers.next == world->node->keepers.previous);
    node_world_stop();
}

TEST(a_second_daemon_does_not_start_beside_the_first)
{
    struct node *other;
    struct err err;

    start("answer");
    CHECK_EQ(node_new(&other, &world->config, &err), -EADDRINUSE);
    CHECK_EQ(create("a", GIB), 0); /* the first one goes on */
    node_world_stop();
}
