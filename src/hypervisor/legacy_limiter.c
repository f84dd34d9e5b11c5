#include "hypervisor/legacy_limiter.h"

#include "supervisor/process.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>

/* --- events ---------------------------------------------------------------------------------- */

int legacy_limiter_events(const struct legacy_view *view, const char *client_id,
                          struct legacy_stream_key *ret_key, json_t **ret_json)
{
    struct err err = {0};
    uint64_t start_ticks;
    int32_t pid;
    int status = legacy_caller_check_pod(view, ret_json);

    if (status)
        return status;
    if (!legacy_caller_parse_client(client_id, &pid))
        return legacy_caller_problem(400, "a client is called worker_ and its pid", ret_json);
    if (!legacy_caller_owns(view, pid) || process_start_time(pid, &start_ticks) < 0)
        return legacy_caller_problem(403, "that is no process of this pod", ret_json);
    if (legacy_tasks_open(view->tasks, pid, start_ticks, ret_key, &err) < 0)
        return legacy_caller_problem(503, err.text, ret_json);
    *ret_json = NULL;
    return 200;
}

/* --- results --------------------------------------------------------------------------------- */

static bool is_absent_or(json_t *json, const char *name, json_type type)
{
    const json_t *value = json_object_get(json, name);

    return !value || json_is_null(value) || json_typeof(value) == type;
}

/* TaskResult. Of `result` only that it is an object is of interest, of `error` that it is text. */
static bool parse_result(json_t *json, struct legacy_task *ret_answer, const char **ret_client)
{
    const char *task_id, *timestamp;
    int is_success;

    if (json_unpack(json, "{s:s, s:s, s:b, s:s}", "task_id", &task_id, "client_id", ret_client,
                    "success", &is_success, "timestamp", &timestamp) < 0)
        return false;
    if (!is_absent_or(json, "result", JSON_OBJECT) || !is_absent_or(json, "error", JSON_STRING))
        return false;
    ret_answer->state = is_success ? LEGACY_COMPLETED : LEGACY_FAILED;
    return str_format(ret_answer->id, sizeof(ret_answer->id), "%s", task_id);
}

static int take_result(const struct legacy_view *view, json_t *json, json_t **ret_json)
{
    struct legacy_task answer = {.updated_unix_ms = view->now_unix_ms};
    const char *client_id;
    int32_t pid;

    if (!json || !parse_result(json, &answer, &client_id) ||
        !legacy_caller_parse_client(client_id, &pid))
        return legacy_caller_problem(400, "that is no result of a task", ret_json);
    if (!legacy_caller_owns(view, pid))
        return legacy_caller_problem(403, "that is no process of this pod", ret_json);
    if (legacy_tasks_finish(view->tasks, pid, &answer) < 0)
        return legacy_caller_problem(500, "there is no such task", ret_json);
    *ret_json = NULL;
    return 200;
}

int legacy_limiter_result(const struct legacy_view *view, const struct legacy_body *body,
                          json_t **ret_json)
{
    json_t *json;
    int status = legacy_caller_check_pod(view, ret_json);

    if (status)
        return status;
    json = legacy_caller_parse_body(body);
    status = take_result(view, json, ret_json);
    json_decref(json);
    return status;
}

/* --- commands -------------------------------------------------------------------------------- */

static bool parse_command(const struct legacy_body *body, struct legacy_command *ret_command)
{
    json_t *json = legacy_caller_parse_body(body);
    const char *kind;
    json_int_t id;
    bool is_one = json && json_unpack(json, "{s:I, s:s}", "id", &id, "kind", &kind) == 0 &&
                  id >= 0 && legacy_tasks_kind(kind, &ret_command->kind);

    if (is_one)
        ret_command->id = (uint64_t)id;
    json_decref(json);
    return is_one;
}

/* Whether the caller may give a process this command; 0, or what to answer. */
static int check_commander(const struct legacy_view *view, enum legacy_kind kind, int32_t pid,
                           json_t **ret_json)
{
    const struct legacy_caller *caller = view->caller;

    if (!caller->is_known)
        return legacy_caller_problem(401, "a token is needed here", ret_json);
    if (caller->is_operator)
        return 0;
    if (!caller->is_pod || !legacy_caller_owns(view, pid))
        return legacy_caller_problem(403, "that is no process of this token's", ret_json);
    if (kind != LEGACY_HEALTH_CHECK)
        return legacy_caller_problem(403, "this command is an operator's to give", ret_json);
    return 0;
}

static json_t *answer(const struct legacy_command *command, bool is_success, const char *message)
{
    return json_pack("{s:I, s:b, s:s}", "id", (json_int_t)command->id, "success", is_success,
                     "message", message);
}

/* Who listens hears of it; who does not has no queue for it to lie in. */
static void tell_client(const struct legacy_command *command, struct legacy_tasks *tasks,
                        uint64_t now_unix_ms)
{
    struct legacy_task task = {
        .command_id = command->id, .kind = command->kind, .created_unix_ms = now_unix_ms};
    struct err err = {0};
    int rc = legacy_tasks_add(tasks, command->pid, &task, &err);

    if (rc < 0 && rc != -ENOENT)
        log_debug("a command was not passed on: %s", err.text);
}

static int check_health(const struct legacy_view *view, const struct legacy_command *command,
                        const struct snapshot_tenant *tenant, json_t **ret_json)
{
    bool is_well = tenant->state == SNAPSHOT_RUNNING || tenant->state == SNAPSHOT_SUSPENDED;

    tell_client(command, view->tasks, view->now_unix_ms);
    *ret_json = answer(command, is_well, snapshot_state_word(tenant->state));
    return 200;
}

int legacy_limiter_command(const struct legacy_view *view, const struct legacy_order *order,
                           struct legacy_command *ret_command, json_t **ret_json)
{
    const struct snapshot_tenant *tenant;
    struct legacy_command command = {0};
    int32_t pid;
    int status;

    /* Who may not ask at all is told nothing of what would have been wrong. */
    if (!view->caller->is_known)
        return check_commander(view, LEGACY_HEALTH_CHECK, 0, ret_json);
    if (!legacy_caller_parse_client(order->client_id, &pid) ||
        !parse_command(&order->body, &command))
        return legacy_caller_problem(400, "that is no command for a worker", ret_json);
    status = check_commander(view, command.kind, pid, ret_json);
    if (status)
        return status;
    tenant = legacy_caller_tenant_of(view, pid);
    if (!tenant)
        return legacy_caller_problem(404, "that process is no tenant's", ret_json);
    if (command.kind == LEGACY_VRAM_RECLAIM)
        return legacy_caller_problem(501, "memory is given up by freezing, which there is not yet",
                                     ret_json);
    command.pid = pid;
    if (command.kind == LEGACY_HEALTH_CHECK)
        return check_health(view, &command, tenant, ret_json);
    command.request = command.kind == LEGACY_SUSPEND ? REQUEST_SUSPEND : REQUEST_RESUME;
    (void)str_format(command.tenant, sizeof(command.tenant), "%s", tenant->name); /* fits */
    *ret_command = command;
    return 0;
}

json_t *legacy_limiter_done(const struct legacy_command *command, struct legacy_tasks *tasks,
                            uint64_t now_unix_ms)
{
    tell_client(command, tasks, now_unix_ms);
    return answer(command, true, command->kind == LEGACY_SUSPEND ? "suspended" : "resumed");
}
