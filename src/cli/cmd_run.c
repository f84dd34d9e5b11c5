#include "cli/command.h"
#include "cli/commands.h"
#include "cli/front.h"
#include "cli/limit_options.h"
#include "cli/node_client.h"
#include "ipc/ledger.h"
#include "supervisor/gpus.h"
#include "supervisor/runtime.h"
#include "supervisor/tenant.h"
#include "supervisor/verdict.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/shm.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NO_CAP 100000u

struct wish {
    char name[64];
    struct message_set limits;
    uint32_t gpu_mask;
    bool must_obey;    /* --engine rm */
    bool is_closed;    /* --on-loss closed */
    uint32_t queue_ms; /* UINT32_MAX: as the daemon is configured */
    char visible[GPUS_MAX * 48];
};

static int say(const struct err *err)
{
    log_error("run: %s", err->text);
    return COMMAND_FAILED;
}

/* `<command>-<pid>`, with what a name may not hold replaced. */
static void make_name(char *name, size_t size, const char *command)
{
    const char *slash = strrchr(command, '/');
    char word[48];

    (void)str_format(word, sizeof(word), "%s", slash ? slash + 1 : command); /* cut at worst */
    for (char *at = word; *at; at++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", *at) ||
            (at == word && strchr("_.-", *at)))
            *at = 'x';
    (void)str_format(name, size, "%s-%d", word[0] ? word : "x", (int)getpid()); /* fits */
}

static int read_choice(const struct command_line *line, const char *option, const char *usual,
                       const char *other, bool *ret_is_other)
{
    const char *text = command_value(line, option);

    *ret_is_other = text && str_equals(text, other);
    if (text && !*ret_is_other && !str_equals(text, usual))
        return command_usage_error(line, "--%s: '%s' is neither %s nor %s", option, text, usual,
                                   other);
    return COMMAND_OK;
}

static int read_queue(const struct command_line *line, uint32_t *ret_queue_ms)
{
    const char *text = command_value(line, "queue");
    uint64_t seconds;
    struct err err;

    *ret_queue_ms = UINT32_MAX;
    if (!text)
        return COMMAND_OK;
    if (parse_u64(&seconds, text, 0, 1000000, &err) < 0)
        return command_usage_error(line, "--queue: %s", err.text);
    *ret_queue_ms = (uint32_t)seconds * 1000;
    return COMMAND_OK;
}

static int read_wish(const struct command_line *line, struct wish *wish)
{
    const char *name = command_value(line, "name");
    struct err err;

    if (limit_options_read(line, &wish->limits) || read_queue(line, &wish->queue_ms) ||
        read_choice(line, "engine", "auto", "rm", &wish->must_obey) ||
        read_choice(line, "on-loss", "open", "closed", &wish->is_closed))
        return COMMAND_USAGE;
    if (!name)
        make_name(wish->name, sizeof(wish->name), line->operands[0]);
    else if (parse_name(name, &err) < 0)
        return command_usage_error(line, "--name: %s", err.text);
    else
        (void)str_format(wish->name, sizeof(wish->name), "%s", name); /* parse_name() bounds it */
    return COMMAND_OK;
}

/* Where only some GPUs are allowed, CUDA shall count those alone. */
static void list_visible(struct wish *wish, const struct gpus *gpus)
{
    struct str str;

    str_init(&str, wish->visible, sizeof(wish->visible));
    for (uint32_t i = 0; i < gpus_count(gpus) && wish->gpu_mask != UINT32_MAX; i++)
        if (wish->gpu_mask & (1u << i))
            str_add(&str, "%s%s", str.length ? "," : "", gpus_card(gpus, i)->uuid);
}

static int fill_tenant(const struct command_line *line, const struct wish *wish,
                       const struct gpus *gpus, struct tenant *tenant)
{
    struct err err;

    tenant_init(tenant, wish->name);
    tenant->on_loss = wish->is_closed ? REGION_CLOSED : REGION_OPEN;
    tenant->gpu_count = gpus_count(gpus);
    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        tenant->cards[i] = *gpus_card(gpus, i);
        tenant->quotas[i] = (struct tenant_quota){.memory_bytes = REGION_NO_LIMIT,
                                                  .cap_milli_percent = NO_CAP,
                                                  .weight = 1,
                                                  .priority = REGION_NORMAL,
                                                  .is_allowed = (wish->gpu_mask >> i) & 1};
        if (tenant->quotas[i].is_allowed &&
            limit_options_check_memory(line, &wish->limits, &tenant->cards[i]))
            return COMMAND_USAGE;
    }
    if (tenant_change(tenant, &wish->limits, &err) < 0)
        return command_usage_error(line, "%s", err.text);
    return COMMAND_OK;
}

/* What doctor saw here decides; where it saw nothing, the supervisor will see for itself. */
static int choose_engine(const struct wish *wish, const struct runtime *runtime,
                         const struct gpus *gpus, struct tenant *tenant)
{
    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        enum verdict verdict =
            verdict_load(runtime, gpus_card(gpus, i)->uuid, gpus_driver_version(gpus));

        if (!tenant->quotas[i].is_allowed || verdict != VERDICT_INERT)
            continue;
        if (wish->must_obey) {
            log_error("run: the scheduler of GPU %u does not obey (vgpu doctor shows how that was "
                      "seen); --engine auto runs with the memory limit alone",
                      gpus_card(gpus, i)->nvml_index);
            return COMMAND_FAILED;
        }
        if (tenant->engine != REGION_ENGINE_MEMORY_ONLY)
            log_warn("the scheduler of GPU %u does not obey here (see vgpu doctor): compute limits "
                     "have no effect, the memory limit holds",
                     gpus_card(gpus, i)->nvml_index);
        tenant->engine = REGION_ENGINE_MEMORY_ONLY;
    }
    return COMMAND_OK;
}

static int claim(struct front *front, const char *name, bool adopt)
{
    struct err err;
    int rc = runtime_claim(&front->runtime, name, adopt, &front->lock_fd, &err);

    if (rc < 0)
        return say(&err);
    if (rc == RUNTIME_TAKEN)
        log_error("run: the name '%s' is taken by a tenant that runs (vgpu ps shows it)", name);
    else if (rc == RUNTIME_ORPHANED)
        log_error("run: the name '%s' is that of an orphaned tenant, whose processes run without a "
                  "supervisor: 'vgpu run --adopt %s' gives it one",
                  name, name);
    return rc == RUNTIME_CLAIMED ? COMMAND_OK : COMMAND_FAILED;
}

/* The files of a tenant: its state and its socket. */
static int publish(struct front *front, const struct tenant *tenant, struct err *err)
{
    char path[RUNTIME_PATH_MAX];
    int rc = runtime_path(&front->runtime, front->name, "state", path, err);

    if (!rc && tenant)
        rc = tenant_save(tenant, path, err);
    if (!rc)
        rc = runtime_path(&front->runtime, front->name, "control", path, err);
    return rc ? rc : sock_listen(&front->listen_fd, path, err);
}

static int start(struct front *front, const struct tenant *tenant, char **argv)
{
    struct err err;
    void *memory;
    int status;

    front_block_signals(front);
    status = claim(front, front->name, false);
    if (status)
        return status;
    front->ledger_fd = shm_create(&memory, "vgpu-ledger", ledger_size(), false, &err);
    if (front->ledger_fd < 0 || publish(front, tenant, &err) < 0) {
        runtime_remove(&front->runtime, front->name);
        return say(&err);
    }
    shm_unmap(memory, ledger_size());
    return front_run(front, argv);
}

static int open_gpus(struct gpus **ret_gpus)
{
    struct err err;

    if (gpus_open(ret_gpus, &err) == 0)
        return COMMAND_OK;
    log_error("run: %s; to try vgpu without a GPU: vgpu sim -- vgpu run ...", err.text);
    return COMMAND_FAILED;
}

/* --- tenants that the daemon keeps --- */

static void fill_create(const struct command_line *line, const struct wish *wish,
                        const struct gpus_card *cards, struct message_create *create)
{
    *create = (struct message_create){.on_loss = wish->is_closed ? REGION_CLOSED : REGION_OPEN,
                                      .queue_ms = wish->queue_ms,
                                      .fields = wish->limits.fields,
                                      .memory_bytes = wish->limits.memory_bytes,
                                      .memory_milli_percent = wish->limits.memory_milli_percent,
                                      .cap_milli_percent = wish->limits.cap_milli_percent,
                                      .weight = wish->limits.weight,
                                      .priority = wish->limits.priority};
    message_init(create, MESSAGE_CREATE, sizeof(*create));
    (void)str_format(create->name, sizeof(create->name), "%s", wish->name); /* same size */
    /* Without --gpu the daemon finds the one with the best fit. */
    for (uint32_t i = 0; i < GPUS_MAX && command_has(line, "gpu"); i++)
        if (wish->gpu_mask >> i & 1)
            create->gpu_mask |= 1u << cards[i].nvml_index;
}

static int run_kept(const struct command_line *line, const struct wish *wish, struct front *front,
                    const struct gpus_card *cards)
{
    CLEANUP_CLOSE int node_fd = TAKE_FD(front->kept_fd);
    struct message_created created;
    struct message_create create;
    int sockets[2];
    struct err err;

    if (front->log_path)
        log_warn("--log has no effect: the daemon keeps this tenant, and its log");
    fill_create(line, wish, cards, &create);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
        log_error("run: make a socket for the supervisor: %s", strerror(errno));
        return COMMAND_FAILED;
    }
    front->kept_fd = sockets[0];
    if (node_client_create(node_fd, &create, &sockets[1], &created, &err) < 0)
        return say(&err);
    if (created.engine == REGION_ENGINE_MEMORY_ONLY && wish->must_obey) {
        log_error("run: the scheduler of its GPU does not obey (vgpu doctor shows how that was "
                  "seen); --engine auto runs with the memory limit alone");
        return COMMAND_FAILED; /* our end of the socket closes with us, and the tenant ends */
    }
    if (created.engine == REGION_ENGINE_MEMORY_ONLY)
        log_warn("the scheduler of its GPU does not obey here (see vgpu doctor): compute limits "
                 "have no effect, the memory limit holds");
    front->name = created.name;
    front->control_path = created.control_path;
    front->visible = created.visible[0] ? created.visible : NULL;
    front_block_signals(front);
    return front_run(front, line->operands);
}

static int run(const struct command_line *line, struct wish *wish)
{
    struct front front = {.name = wish->name,
                          .log_path = command_value(line, "log"),
                          .is_verbose = command_has(line, "verbose"),
                          .is_closed = wish->is_closed,
                          .lock_fd = -1,
                          .listen_fd = -1,
                          .ledger_fd = -1,
                          .kept_fd = -1};
    struct gpus_card cards[GPUS_MAX];
    struct tenant tenant;
    struct gpus *gpus;
    struct err err;
    int status = open_gpus(&gpus);

    if (status)
        return status;
    for (uint32_t i = 0; i < gpus_count(gpus); i++)
        cards[i] = *gpus_card(gpus, i);
    status = limit_options_read_gpus(line, cards, gpus_count(gpus), &wish->gpu_mask);
    if (!status)
        status = fill_tenant(line, wish, gpus, &tenant);
    if (!status && !command_has(line, "standalone") &&
        node_client_connect(&front.kept_fd, NULL) == 0) {
        gpus_close(gpus);
        return run_kept(line, wish, &front, cards);
    }
    if (!status && runtime_open(&front.runtime, &err) < 0)
        status = say(&err);
    if (!status)
        status = choose_engine(wish, &front.runtime, gpus, &tenant);
    list_visible(wish, gpus);
    front.visible = wish->visible[0] ? wish->visible : NULL;
    gpus_close(gpus);
    return status ? status : start(&front, &tenant, line->operands);
}

/* Before anything is started: its supervisor could only say that it goes without. */
static int check_log(const char *path)
{
    CLEANUP_CLOSE int fd = -1;

    if (!path)
        return COMMAND_OK;
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0)
        return COMMAND_OK;
    log_error("run: --log: '%s' cannot be opened: %s", path, strerror(errno));
    return COMMAND_FAILED;
}

static int adopt(const struct command_line *line)
{
    struct front front = {.name = command_value(line, "adopt"),
                          .log_path = command_value(line, "log"),
                          .is_verbose = command_has(line, "verbose"),
                          .lock_fd = -1,
                          .listen_fd = -1,
                          .ledger_fd = -1,
                          .kept_fd = -1};
    struct err err;
    int status;

    if (line->operand_count)
        return command_usage_error(line, "--adopt takes no command");
    if (parse_name(front.name, &err) < 0)
        return command_usage_error(line, "--adopt: %s", err.text);
    if (runtime_open(&front.runtime, &err) < 0)
        return say(&err);
    status = claim(&front, front.name, true);
    if (status)
        return status;
    if (publish(&front, NULL, &err) < 0)
        return say(&err);
    return front_adopt(&front);
}

int cmd_run(const struct command_line *line)
{
    struct wish wish = {.gpu_mask = UINT32_MAX};
    int status;

    if (command_has(line, "verbose"))
        log_set_level(LOG_LEVEL_INFO);
    status = check_log(command_value(line, "log"));
    if (status)
        return status;
    if (command_has(line, "adopt"))
        return adopt(line);
    if (!line->operand_count)
        return command_usage_error(line, "a command to run is needed");
    if (getenv("VGPU_CONTROL")) {
        log_error("run: this is inside a tenant already; a tenant within a tenant cannot be");
        return COMMAND_FAILED;
    }
    status = read_wish(line, &wish);
    return status ? status : run(line, &wish);
}
