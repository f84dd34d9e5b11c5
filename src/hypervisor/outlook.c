#include "hypervisor/outlook.h"

#include "hypervisor/foreign.h"
#include "hypervisor/node_state.h"
#include "hypervisor/standalone.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TENANTS_MAX   2048
#define PIDS_MAX      16384
#define USERS_MAX     (REGION_GPUS_MAX * HARDWARE_PROCESSES_MAX) /* processes that use GPUs */
#define NEW_NS        (2 * NS_PER_SEC) /* a supervisor this young may not know all processes yet */
#define SEARCH_NS     (5 * NS_PER_SEC) /* a search for others' tenants that takes longer is let be */
#define WORDS_SAMPLER "the GPUs' sampler does not get on"
#define WORDS_NVML    "NVML is not there: temperatures, other processes and the like are not known"

struct outlook {
    struct hardware *hardware;
    struct foreign *foreign;
    struct event_log *events; /* borrowed */
    struct hardware_reading reading;
    uint32_t lost_mask; /* bits of the reading's places */
    /* What foreign_update() is given. */
    struct foreign_tenant tenants[TENANTS_MAX];
    int32_t pids[PIDS_MAX], own[TENANTS_MAX];
    size_t tenant_count, pid_count, own_count;
    struct foreign_pardon pardons[STANDALONE_TENANTS_MAX];
    size_t pardon_count;
    int32_t users[USERS_MAX]; /* who uses a GPU, in ascending order */
    size_t user_count;
    uint64_t tenants_ns;
    bool is_whole;
};

/* --- whose processes are whose --- */

static void add_tenant(struct outlook *outlook, const struct keeper *keeper, uint64_t now_ns)
{
    const struct keeper_status *status = &keeper->status;
    struct foreign_tenant *tenant = &outlook->tenants[outlook->tenant_count];
    bool answers = keeper->state == SNAPSHOT_RUNNING || keeper->state == SNAPSHOT_SUSPENDED;

    if (outlook->tenant_count == TENANTS_MAX ||
        outlook->pid_count + status->process_count > PIDS_MAX || !answers ||
        now_ns < keeper->started_ns + NEW_NS) {
        outlook->is_whole = false;
        return;
    }
    *tenant = (struct foreign_tenant){.name = keeper->tenant.name,
                                      .pids = &outlook->pids[outlook->pid_count],
                                      .pid_count = status->process_count};
    for (uint32_t i = 0; i < status->process_count; i++)
        outlook->pids[outlook->pid_count++] = status->processes[i].pid;
    outlook->own[outlook->own_count++] = status->tenant.supervisor_pid;
    outlook->tenant_count++;
    if (keeper->known_ns < outlook->tenants_ns)
        outlook->tenants_ns = keeper->known_ns;
}

static int compare_pids(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;

    return (left > right) - (left < right);
}

static void list_users(struct outlook *outlook)
{
    outlook->user_count = 0;
    for (uint32_t i = 0; i < outlook->reading.gpu_count; i++) {
        const struct hardware_gpu *gpu = &outlook->reading.gpus[i];

        for (uint32_t j = 0; j < gpu->process_count; j++)
            outlook->users[outlook->user_count++] = gpu->processes[j].pid;
    }
    qsort(outlook->users, outlook->user_count, sizeof(outlook->users[0]), compare_pids);
}

/* What somebody else's supervisor says of a process matters where it uses a GPU. */
static void claim(struct outlook *outlook, struct foreign_tenant *tenant, int32_t pid)
{
    if (!bsearch(&pid, outlook->users, outlook->user_count, sizeof(pid), compare_pids))
        return;
    outlook->pids[outlook->pid_count++] = pid;
    tenant->pid_count++;
}

/*
 * Somebody else's: it holds nobody's judgement up but that of its own user's processes, and claims
 * those alone.
 */
static void add_observed(struct outlook *outlook, const struct keeper *keeper, uint64_t now_ns)
{
    const struct keeper_status *status = &keeper->status;
    struct foreign_pardon *pardon = &outlook->pardons[outlook->pardon_count++];
    struct foreign_tenant *tenant = &outlook->tenants[outlook->tenant_count];

    *pardon = (struct foreign_pardon){.uid = keeper->tenant.uid};
    if (outlook->tenant_count == TENANTS_MAX ||
        outlook->pid_count + status->process_count + 1 > PIDS_MAX || !keeper->has_status)
        return;
    if (now_ns >= keeper->started_ns + NEW_NS)
        pardon->known_ns = keeper->known_ns;
    *tenant = (struct foreign_tenant){.name = keeper->tenant.name,
                                      .pids = &outlook->pids[outlook->pid_count],
                                      .is_observed = true,
                                      .uid = keeper->tenant.uid};
    for (uint32_t i = 0; i < status->process_count; i++)
        claim(outlook, tenant, status->processes[i].pid);
    claim(outlook, tenant, status->tenant.supervisor_pid);
    outlook->tenant_count++;
}

static void gather(struct outlook *outlook, const struct node *node, uint64_t now_ns)
{
    uint64_t searched_ns = standalone_searched_ns(node->standalone);

    outlook->tenant_count = 0;
    outlook->pid_count = 0;
    outlook->own_count = 0;
    outlook->pardon_count = 0;
    outlook->tenants_ns = now_ns;
    outlook->is_whole = true;
    list_users(outlook);
    LIST_EACH(at, &node->keepers)
    add_tenant(outlook, CONTAINER_OF(at, struct keeper, node), now_ns);
    LIST_EACH(at, standalone_keepers(node->standalone))
    add_observed(outlook, CONTAINER_OF(at, struct keeper, node), now_ns);
    /* Who is in a tenant that was not found yet is not to be taken for foreign meanwhile. */
    if (searched_ns < outlook->tenants_ns && now_ns < searched_ns + SEARCH_NS)
        outlook->tenants_ns = searched_ns;
}

static void look_for_foreign(struct outlook *outlook, const struct node *node,
                             enum config_foreign_policy policy)
{
    uint64_t now_ns = clock_now_ns();
    struct foreign_input input = {.reading = &outlook->reading,
                                  .gpus = node->snapshot ? node->snapshot->gpus : NULL,
                                  .gpu_count = node->snapshot ? node->snapshot->gpu_count : 0,
                                  .tenants = outlook->tenants,
                                  .pardons = outlook->pardons,
                                  .own_pids = outlook->own,
                                  .policy = policy};

    gather(outlook, node, now_ns);
    input.tenant_count = outlook->tenant_count;
    input.pardon_count = outlook->pardon_count;
    input.own_count = outlook->own_count;
    input.tenants_ns = outlook->is_whole ? outlook->tenants_ns : 0;
    foreign_update(outlook->foreign, &input, now_ns);
}

static void add_event(void *context, const struct event *event)
{
    const struct outlook *outlook = context;

    event_log_add(outlook->events, event);
}

/* --- cards --- */

/* The node's own number of a card: NVML's may be another one by now. */
static uint32_t find_index(const struct node *node, const struct hardware_gpu *gpu, bool *ret_known)
{
    for (uint32_t i = 0; i < node->card_count; i++)
        if (str_equals(node->cards[i].uuid, gpu->uuid)) {
            *ret_known = true;
            return node->cards[i].nvml_index;
        }
    *ret_known = false;
    return gpu->nvml_index;
}

static void note_lost(struct outlook *outlook, struct node *node, uint32_t place)
{
    const struct hardware_gpu *gpu = &outlook->reading.gpus[place];
    bool was_lost = outlook->lost_mask >> place & 1, is_known;
    uint32_t index = find_index(node, gpu, &is_known);
    char words[96];

    if (is_known && index < 32)
        node->lost_mask |= (uint32_t)gpu->is_lost << index;
    if (gpu->is_lost == was_lost)
        return;
    outlook->lost_mask ^= 1u << place;
    (void)str_format(words, sizeof(words), "GPU %u (%s) is lost", index, gpu->uuid); /* fits */
    node_set_fault(node, gpu->is_lost, "gpu", words);
    node_tell(node, gpu->is_lost ? EVENT_GPU_LOST : EVENT_GPU_BACK, NULL, "GPU %u (%s) is %s",
              index, gpu->uuid, gpu->is_lost ? "lost" : "back");
}

void outlook_look(struct outlook *outlook, struct node *node, enum config_foreign_policy policy)
{
    hardware_read(outlook->hardware, &outlook->reading);
    node_set_fault(node, hardware_is_stale(&outlook->reading, clock_now_ns()), "sampler",
                   WORDS_SAMPLER);
    node_set_fault(node, outlook->reading.sequence && !outlook->reading.has_nvml, "sampler",
                   WORDS_NVML);
    node->lost_mask = 0;
    for (uint32_t i = 0; i < outlook->reading.gpu_count; i++)
        note_lost(outlook, node, i);
    look_for_foreign(outlook, node, policy);
}

static void show_gpu(struct snapshot_gpu *shown, const struct hardware_gpu *gpu)
{
    const struct telemetry_card *card = &gpu->card;

    (void)str_format(shown->model, sizeof(shown->model), "%s", gpu->model); /* same size */
    shown->is_lost = gpu->is_lost;
    shown->memory_used_bytes = card->memory_used_bytes;
    shown->busy_percent = card->busy_percent;
    shown->memory_busy_percent = card->memory_busy_percent;
    shown->temperature_celsius = card->temperature_celsius;
    shown->power_milliwatts = card->power_milliwatts;
    shown->graphics_clock_mhz = card->graphics_clock_mhz;
    shown->sm_clock_mhz = card->sm_clock_mhz;
    shown->memory_clock_mhz = card->memory_clock_mhz;
    shown->video_clock_mhz = card->video_clock_mhz;
    shown->pcie_receive_kib_per_s = card->pcie_receive_kib_per_s;
    shown->pcie_transmit_kib_per_s = card->pcie_transmit_kib_per_s;
}

static void show_tenant(const struct outlook *outlook, const struct snapshot *snapshot,
                        struct snapshot_tenant *tenant)
{
    CLEANUP_FREE int32_t *pids =
        tenant->process_count ? calloc(tenant->process_count, sizeof(*pids)) : NULL;

    if (!pids)
        return; /* not known, and so it stays */
    for (uint32_t i = 0; i < tenant->process_count; i++)
        pids[i] = tenant->processes[i].pid;
    qsort(pids, tenant->process_count, sizeof(*pids), compare_pids);
    for (uint32_t i = 0; i < tenant->share_count; i++) {
        const struct hardware_gpu *gpu =
            hardware_find(&outlook->reading, snapshot->gpus[tenant->shares[i].gpu].uuid);

        if (gpu)
            tenant->shares[i].memory_nvml_bytes =
                hardware_sum_memory(gpu, pids, tenant->process_count);
    }
}

void outlook_show(const struct outlook *outlook, struct snapshot *snapshot)
{
    uint32_t count;
    const struct snapshot_foreign *foreign = foreign_list(outlook->foreign, &count);

    for (uint32_t i = 0; i < snapshot->gpu_count; i++) {
        const struct hardware_gpu *gpu = hardware_find(&outlook->reading, snapshot->gpus[i].uuid);

        if (gpu)
            show_gpu(&snapshot->gpus[i], gpu);
    }
    for (uint32_t i = 0; i < snapshot->tenant_count; i++)
        show_tenant(outlook, snapshot, &snapshot->tenants[i]);
    snapshot->foreign_count = count < SNAPSHOT_FOREIGN_MAX ? count : SNAPSHOT_FOREIGN_MAX;
    if (snapshot->foreign_count)
        memcpy(snapshot->foreign, foreign, snapshot->foreign_count * sizeof(*foreign));
}

/* --- begin and end --- */

int outlook_new(struct outlook **ret_outlook, const struct node *node, uint64_t interval_ns,
                struct err *err)
{
    const struct hardware_options options = {.interval_ns = interval_ns};
    struct outlook *outlook = calloc(1, sizeof(*outlook));
    int rc;

    if (!outlook)
        return err_set(err, ENOMEM, "allocate what is known of the hardware");
    outlook->events = node->events;
    rc = foreign_new(&outlook->foreign,
                     &(struct foreign_system){foreign_process_describe, foreign_process_signal,
                                              add_event, outlook},
                     err);
    if (!rc)
        rc = hardware_new(&outlook->hardware, &options, err);
    if (rc < 0) {
        outlook_free(outlook);
        return rc;
    }
    *ret_outlook = outlook;
    return 0;
}

void outlook_free(struct outlook *outlook)
{
    if (!outlook)
        return;
    hardware_free(outlook->hardware);
    foreign_free(outlook->foreign);
    free(outlook);
}
