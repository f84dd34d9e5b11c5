#include "hypervisor/legacy_tasks.h"

#include "hypervisor/rfc3339.h"
#include "utils/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#define UUID_BYTES 16

struct client {
    int32_t pid;
    uint64_t start_ticks;
    uint64_t stream; /* the number of its newest one */
    uint32_t task_count, open_count;
    struct legacy_task tasks[LEGACY_TASKS_KEPT_MAX]; /* the oldest first */
};

struct legacy_tasks {
    pthread_mutex_t lock;
    void (*listener)(void *context);
    void *listener_context;
    uint64_t last_stream;
    uint32_t client_count;
    struct client *clients[LEGACY_TASKS_CLIENTS_MAX];
};

static const char *const kind_words[] = {
    [LEGACY_HEALTH_CHECK] = "HealthCheck",
    [LEGACY_SUSPEND] = "Suspend",
    [LEGACY_RESUME] = "Resume",
    [LEGACY_VRAM_RECLAIM] = "VramReclaim",
};

static const char *const state_words[] = {
    [LEGACY_QUEUED] = "Queued",
    [LEGACY_PROCESSING] = "Processing",
    [LEGACY_COMPLETED] = "Completed",
    [LEGACY_FAILED] = "Failed",
};

static void lock(struct legacy_tasks *tasks)
{
    (void)pthread_mutex_lock(&tasks->lock); /* fails for misuse only */
}

static void unlock(struct legacy_tasks *tasks)
{
    (void)pthread_mutex_unlock(&tasks->lock);
}

static void tell_listener(struct legacy_tasks *tasks)
{
    void (*listener)(void *context);
    void *context;

    lock(tasks);
    listener = tasks->listener;
    context = tasks->listener_context;
    unlock(tasks);
    if (listener)
        listener(context);
}

int legacy_tasks_new(struct legacy_tasks **ret_tasks, struct err *err)
{
    struct legacy_tasks *tasks = calloc(1, sizeof(*tasks));

    if (!tasks)
        return err_set(err, ENOMEM, "allocate queues of commands");
    (void)pthread_mutex_init(&tasks->lock, NULL); /* cannot fail without attributes */
    *ret_tasks = tasks;
    return 0;
}

void legacy_tasks_free(struct legacy_tasks *tasks)
{
    if (!tasks)
        return;
    for (uint32_t i = 0; i < tasks->client_count; i++)
        free(tasks->clients[i]);
    (void)pthread_mutex_destroy(&tasks->lock);
    free(tasks);
}

void legacy_tasks_listen(struct legacy_tasks *tasks, void (*listener)(void *context), void *context)
{
    lock(tasks);
    tasks->listener = listener;
    tasks->listener_context = context;
    unlock(tasks);
}

static struct client *find_client(struct legacy_tasks *tasks, int32_t pid)
{
    for (uint32_t i = 0; i < tasks->client_count; i++)
        if (tasks->clients[i]->pid == pid)
            return tasks->clients[i];
    return NULL;
}

static bool is_open(const struct legacy_task *task)
{
    return task->state == LEGACY_QUEUED || task->state == LEGACY_PROCESSING;
}

static void drop_task(struct client *client, uint32_t index)
{
    client->open_count -= is_open(&client->tasks[index]);
    client->task_count--;
    for (uint32_t i = index; i < client->task_count; i++)
        client->tasks[i] = client->tasks[i + 1];
}

/* Random where there is randomness; a guess finishes nothing of another client's in any case. */
static void make_id(char ret_id[LEGACY_TASKS_ID_SIZE])
{
    unsigned char b[UUID_BYTES] = {0};

    (void)!getrandom(b, sizeof(b), 0); /* of 16 bytes it never fails once the machine has started */
    b[6] = (unsigned char)(0x40 | (b[6] & 0x0f));
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
    (void)str_format(ret_id, LEGACY_TASKS_ID_SIZE, /* fits */
                     "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                     b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
                     b[13], b[14], b[15]);
}

static void ask_again(struct client *client)
{
    for (uint32_t i = 0; i < client->task_count; i++)
        if (client->tasks[i].state == LEGACY_PROCESSING)
            client->tasks[i].state = LEGACY_QUEUED;
}

static int open_client(struct legacy_tasks *tasks, int32_t pid, uint64_t start_ticks,
                       struct legacy_stream_key *ret_key, struct err *err)
{
    struct client *client = find_client(tasks, pid);

    if (!client && tasks->client_count == LEGACY_TASKS_CLIENTS_MAX)
        return err_say(err, ENOSPC, "there are %d clients already", LEGACY_TASKS_CLIENTS_MAX);
    if (!client) {
        client = calloc(1, sizeof(*client));
        if (!client)
            return err_set(err, ENOMEM, "allocate a queue of commands");
        client->pid = pid;
        client->start_ticks = start_ticks;
        tasks->clients[tasks->client_count++] = client;
    }
    if (client->start_ticks != start_ticks) {
        client->start_ticks = start_ticks;
        client->task_count = client->open_count = 0;
    }
    ask_again(client);
    client->stream = ++tasks->last_stream;
    *ret_key = (struct legacy_stream_key){.pid = pid, .number = client->stream};
    return 0;
}

int legacy_tasks_open(struct legacy_tasks *tasks, int32_t pid, uint64_t start_ticks,
                      struct legacy_stream_key *ret_key, struct err *err)
{
    int rc;

    lock(tasks);
    rc = open_client(tasks, pid, start_ticks, ret_key, err);
    unlock(tasks);
    if (!rc)
        tell_listener(tasks); /* the stream before is over */
    return rc;
}

/* The oldest one that is over makes room: there is one, as fewer may be open than are kept. */
static void make_room(struct client *client)
{
    for (uint32_t i = 0; i < client->task_count; i++)
        if (!is_open(&client->tasks[i])) {
            drop_task(client, i);
            return;
        }
}

int legacy_tasks_add(struct legacy_tasks *tasks, int32_t pid, const struct legacy_task *command,
                     struct err *err)
{
    struct legacy_task *task;
    struct client *client;
    int rc = 0;

    lock(tasks);
    client = find_client(tasks, pid);
    if (!client) {
        rc = err_say(err, ENOENT, "process %d listens to no commands", pid);
    } else if (client->open_count == LEGACY_TASKS_OPEN_MAX) {
        rc = err_say(err, EAGAIN, "process %d has %d commands to answer", pid,
                     LEGACY_TASKS_OPEN_MAX);
    } else {
        if (client->task_count == LEGACY_TASKS_KEPT_MAX)
            make_room(client);
        task = &client->tasks[client->task_count++];
        *task = *command;
        make_id(task->id);
        task->state = LEGACY_QUEUED;
        task->updated_unix_ms = command->created_unix_ms;
        client->open_count++;
    }
    unlock(tasks);
    if (!rc)
        tell_listener(tasks);
    return rc;
}

int legacy_tasks_take(struct legacy_tasks *tasks, const struct legacy_stream_key *key,
                      uint64_t now_unix_ms, struct legacy_task *ret_task)
{
    struct client *client;
    int rc;

    lock(tasks);
    client = find_client(tasks, key->pid);
    rc = client && client->stream == key->number ? 0 : -ENOENT;
    for (uint32_t i = 0; !rc && i < client->task_count; i++) {
        struct legacy_task *task = &client->tasks[i];

        if (task->state != LEGACY_QUEUED)
            continue;
        task->state = LEGACY_PROCESSING;
        task->updated_unix_ms = now_unix_ms;
        *ret_task = *task;
        rc = 1;
    }
    unlock(tasks);
    return rc;
}

int legacy_tasks_finish(struct legacy_tasks *tasks, int32_t pid, const struct legacy_task *answer)
{
    struct client *client;
    int rc = -ENOENT;

    lock(tasks);
    client = find_client(tasks, pid);
    for (uint32_t i = 0; client && rc < 0 && i < client->task_count; i++) {
        struct legacy_task *task = &client->tasks[i];

        if (task->state != LEGACY_PROCESSING || !str_equals(task->id, answer->id))
            continue;
        task->state = answer->state;
        task->updated_unix_ms = answer->updated_unix_ms;
        client->open_count--;
        rc = 0;
    }
    unlock(tasks);
    return rc;
}

static bool has_process(const struct snapshot *snapshot, int32_t pid)
{
    for (uint32_t i = 0; i < snapshot->tenant_count; i++) {
        const struct snapshot_tenant *tenant = &snapshot->tenants[i];

        /* The processes of a standalone supervisor's are its user's word. */
        for (uint32_t j = 0; !tenant->is_standalone && j < tenant->process_count; j++)
            if (tenant->processes[j].pid == pid)
                return true;
    }
    /* Those with a foreign limiter, which alone have use for a stream. */
    for (uint32_t i = 0; i < snapshot->foreign_count; i++)
        if (snapshot->foreign[i].pid == pid && snapshot->foreign[i].tenant[0])
            return true;
    return false;
}

void legacy_tasks_prune(struct legacy_tasks *tasks, const struct snapshot *snapshot)
{
    bool has_pruned = false;

    lock(tasks);
    for (uint32_t i = 0; i < tasks->client_count;) {
        if (has_process(snapshot, tasks->clients[i]->pid)) {
            i++;
            continue;
        }
        free(tasks->clients[i]);
        tasks->clients[i] = tasks->clients[--tasks->client_count];
        has_pruned = true;
    }
    unlock(tasks);
    if (has_pruned)
        tell_listener(tasks);
}

bool legacy_tasks_count(struct legacy_tasks *tasks, int32_t pid, struct legacy_counts *ret_counts)
{
    struct legacy_counts counts = {0};
    struct client *client;

    lock(tasks);
    client = find_client(tasks, pid);
    for (uint32_t i = 0; client && i < client->task_count; i++) {
        enum legacy_state state = client->tasks[i].state;

        counts.queued += state == LEGACY_QUEUED;
        counts.processing += state == LEGACY_PROCESSING;
        counts.completed += state == LEGACY_COMPLETED;
        counts.failed += state == LEGACY_FAILED;
    }
    unlock(tasks);
    if (client)
        *ret_counts = counts;
    return client;
}

json_t *legacy_tasks_json(const struct legacy_task *task, int32_t pid)
{
    char created[RFC3339_SIZE], updated[RFC3339_SIZE], client[32];

    rfc3339_format(created, task->created_unix_ms);
    rfc3339_format(updated, task->updated_unix_ms);
    (void)str_format(client, sizeof(client), "worker_%d", pid); /* fits */
    return json_pack("{s:s, s:{s:I, s:s}, s:s, s:s, s:s, s:s}", "id", task->id, "data", "id",
                     (json_int_t)task->command_id, "kind", kind_words[task->kind], "state",
                     state_words[task->state], "created_at", created, "updated_at", updated,
                     "client_id", client);
}

bool legacy_tasks_kind(const char *word, enum legacy_kind *ret_kind)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kind_words); i++)
        if (str_equals(word, kind_words[i])) {
            *ret_kind = (enum legacy_kind)i;
            return true;
        }
    return false;
}
