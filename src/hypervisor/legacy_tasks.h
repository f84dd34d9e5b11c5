#pragma once
/*
 * legacy_tasks - the commands that limiters of the old kind are told of over their event streams,
 * and what became of them.
 *
 *   queued      added; nobody has fetched it                      legacy_tasks_add()
 *   processing  a stream has carried it to the client             legacy_tasks_take()
 *   completed, failed  the client said so                         legacy_tasks_finish()
 *
 * A client is a process (pid and start time) that has opened a stream; who never did has no queue,
 * so commands for nobody pile up nowhere. One that opens its stream again gets once more what it
 * has not answered, and its stream before, whose other end may be gone, is over: so no stream takes
 * what another one should carry, nor what is for a later process with the pid. All is bounded:
 * clients, open tasks of a client, tasks that are kept of it. Clients vanish with their processes.
 * May be called on any thread.
 */
#include "hypervisor/snapshot.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define LEGACY_TASKS_CLIENTS_MAX 1024
#define LEGACY_TASKS_OPEN_MAX    100 /* queued and processing, of a client */
#define LEGACY_TASKS_KEPT_MAX    128 /* all that are remembered of a client */
#define LEGACY_TASKS_ID_SIZE     37  /* of a UUID as text, with its NUL */

enum legacy_kind { LEGACY_HEALTH_CHECK, LEGACY_SUSPEND, LEGACY_RESUME, LEGACY_VRAM_RECLAIM };

enum legacy_state { LEGACY_QUEUED, LEGACY_PROCESSING, LEGACY_COMPLETED, LEGACY_FAILED };

struct legacy_task {
    char id[LEGACY_TASKS_ID_SIZE];
    uint64_t command_id;
    enum legacy_kind kind;
    enum legacy_state state;
    uint64_t created_unix_ms, updated_unix_ms;
};

/* One opening of a client's stream. */
struct legacy_stream_key {
    int32_t pid;
    uint64_t number; /* raised with each stream */
};

struct legacy_counts {
    uint32_t queued, processing, completed, failed; /* of those that are remembered */
};

struct legacy_tasks;

int legacy_tasks_new(struct legacy_tasks **ret_tasks, struct err *err) MUST_CHECK;
void legacy_tasks_free(struct legacy_tasks *tasks);

/*
 * Who wants to hear that streams may have something new, or have ended: called on the thread that
 * brought it about, without a lock. One listener; NULL: none.
 */
void legacy_tasks_listen(struct legacy_tasks *tasks, void (*listener)(void *context),
                         void *context);

/*
 * A process opens its stream. Another process's with its pid (an other start time) is forgotten.
 * -ENOSPC: too many clients.
 */
int legacy_tasks_open(struct legacy_tasks *tasks, int32_t pid, uint64_t start_ticks,
                      struct legacy_stream_key *ret_key, struct err *err) MUST_CHECK;

/* A command for a client; -ENOENT: it has no stream, -EAGAIN: it has answered too few of them. */
int legacy_tasks_add(struct legacy_tasks *tasks, int32_t pid, const struct legacy_task *command,
                     struct err *err) MUST_CHECK; /* its command_id, kind, created_unix_ms */

/*
 * The oldest queued one, processing from now on; 1, 0 where there is none, -ENOENT: the stream is
 * over, as there is a newer one or the process is gone.
 */
int legacy_tasks_take(struct legacy_tasks *tasks, const struct legacy_stream_key *key,
                      uint64_t now_unix_ms, struct legacy_task *ret_task) MUST_CHECK;

/* What the client says became of one; `answer` has its id, state and updated_unix_ms. -ENOENT. */
int legacy_tasks_finish(struct legacy_tasks *tasks, int32_t pid,
                        const struct legacy_task *answer) MUST_CHECK;

/* Forgets the clients that are no tenant's processes any more. */
void legacy_tasks_prune(struct legacy_tasks *tasks, const struct snapshot *snapshot);

/* False: no such client. */
bool legacy_tasks_count(struct legacy_tasks *tasks, int32_t pid, struct legacy_counts *ret_counts);

/* `{"id","data":{"id","kind"},"state","created_at","updated_at","client_id"}`; NULL: no memory. */
json_t *legacy_tasks_json(const struct legacy_task *task, int32_t pid);

/* "HealthCheck", ...; false: there is no such kind. */
bool legacy_tasks_kind(const char *word, enum legacy_kind *ret_kind);
