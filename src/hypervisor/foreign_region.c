#include "hypervisor/foreign_region.h"

#include "hypervisor/v2_folder.h"
#include "utils/list.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SWEEP_PERIOD_S      60
#define HEARTBEAT_TIMEOUT_S 10
#define WHOLE_PERIOD        20 /* updates after which all of a file is looked at */
#define PIDS_TIMEOUT_S      3600

struct entry {
    struct list node;
    struct pod_name pod;
    int pod_fd, fd;             /* -1: not open */
    bool is_seen;               /* in the snapshot at hand */
    bool is_told;               /* the image has what the tenant's supervisor said */
    bool is_unwell, was_unwell; /* this time, and the last: trouble is told when it begins */
    uint32_t head_count;        /* updates since the whole file was written */
    int32_t pids[V2_REGION_PIDS_MAX];
    uint32_t pid_count;
    struct v2_region_image image;
};

struct foreign_region {
    struct pod_rule rule;
    struct list entries;
    int base_fd;
    uint64_t swept_unix_s; /* 0: not yet */
};

int foreign_region_new(struct foreign_region **ret_region,
                       const struct foreign_region_options *options, struct err *err)
{
    struct foreign_region *region = calloc(1, sizeof(*region));

    if (!region)
        return err_set(err, ENOMEM, "publish pods' shared files");
    region->rule = options->rule;
    list_init(&region->entries);
    region->base_fd = v2_folder_open_base(options->base_path, true, err);
    if (region->base_fd < 0) {
        int rc = region->base_fd;

        free(region);
        return rc;
    }
    *ret_region = region;
    return 0;
}

static void close_entry(struct entry *entry)
{
    attr_close(&entry->fd);
    attr_close(&entry->pod_fd);
    entry->fd = entry->pod_fd = -1;
}

static void free_entry(struct entry *entry)
{
    close_entry(entry);
    list_remove(&entry->node);
    free(entry);
}

void foreign_region_free(struct foreign_region *region)
{
    if (!region)
        return;
    LIST_EACH_SAFE(node, following, &region->entries)
    free_entry(CONTAINER_OF(node, struct entry, node));
    attr_close(&region->base_fd);
    free(region);
}

static struct entry *find_entry(const struct foreign_region *region, const struct pod_name *pod)
{
    LIST_EACH(node, &region->entries)
    {
        struct entry *entry = CONTAINER_OF(node, struct entry, node);

        if (pod_name_equals(&entry->pod, pod))
            return entry;
    }
    return NULL;
}

static struct entry *add_entry(struct foreign_region *region, const struct pod_name *pod,
                               uint64_t now_unix_s)
{
    struct entry *entry = calloc(1, sizeof(*entry));

    if (!entry)
        return NULL;
    entry->pod = *pod;
    entry->pod_fd = entry->fd = -1;
    v2_region_init(&entry->image, (int32_t)getpid(), now_unix_s);
    list_append(&region->entries, &entry->node);
    return entry;
}

static void tell_trouble(struct entry *entry, const char *words)
{
    if (!entry->is_unwell && !entry->was_unwell)
        log_warn("pod '%s/%s': %s, trying on", entry->pod.namespace, entry->pod.name, words);
    entry->is_unwell = true;
}

/* --- what a file is to say ------------------------------------------------------------------- */

/* A file cannot say that something is not known. */
static uint64_t used_bytes(const struct snapshot_share *share, uint64_t adopted_bytes,
                           uint64_t last_bytes)
{
    uint64_t ledger = share->memory_used_bytes, nvml = share->memory_nvml_bytes;

    if (ledger == SNAPSHOT_UNKNOWN && nvml == SNAPSHOT_UNKNOWN)
        return last_bytes;
    if (ledger == SNAPSHOT_UNKNOWN || nvml == SNAPSHOT_UNKNOWN)
        return adopted_bytes + (ledger == SNAPSHOT_UNKNOWN ? nvml : ledger);
    return adopted_bytes + (ledger > nvml ? ledger : nvml);
}

static void describe_gpus(struct entry *entry, const struct snapshot *snapshot,
                          const struct snapshot_tenant *tenant, uint64_t now_unix_s)
{
    bool is_there[V2_REGION_DEVICES_MAX] = {false};

    for (uint32_t i = 0; i < tenant->share_count; i++) {
        const struct snapshot_share *share = &tenant->shares[i];
        const struct snapshot_gpu *gpu = &snapshot->gpus[share->gpu];
        uint32_t slot = gpu->nvml_index;
        struct v2_region_quota quota = {.uuid = gpu->uuid};

        if (slot >= V2_REGION_DEVICES_MAX) {
            tell_trouble(entry, "one of its GPUs has an index above 15 and is not in its file");
            continue;
        }
        is_there[slot] = true;
        /* NO_LIMIT and SNAPSHOT_UNKNOWN are the highest number there is: no limit to readers. */
        quota.memory_limit_bytes = share->memory_limit_bytes == REGION_NO_LIMIT
                                       ? gpu->memory_bytes
                                       : share->memory_limit_bytes;
        quota.memory_used_bytes =
            used_bytes(share, snapshot_adopted_bytes(snapshot, tenant, share->gpu),
                       entry->image.slots[slot].memory_used_bytes);
        v2_region_set_slot(&entry->image, slot, &quota, now_unix_s);
    }
    for (uint32_t slot = 0; slot < V2_REGION_DEVICES_MAX; slot++)
        if (!is_there[slot])
            v2_region_set_slot(&entry->image, slot, NULL, now_unix_s);
}

struct pid_list {
    int32_t pids[V2_REGION_PIDS_MAX];
    uint32_t count;
    bool is_full;
};

static void add_pid(struct pid_list *list, int32_t pid)
{
    if (pid <= 0)
        return;
    list->is_full = list->is_full || list->count == V2_REGION_PIDS_MAX;
    if (!list->is_full)
        list->pids[list->count++] = pid;
}

/* One that uses two cards has two rows. */
static bool is_repeated(const struct snapshot *snapshot, uint32_t row)
{
    for (uint32_t i = 0; i < row; i++)
        if (snapshot->foreign[i].pid == snapshot->foreign[row].pid)
            return true;
    return false;
}

static void describe_processes(struct entry *entry, const struct snapshot *snapshot,
                               const struct snapshot_tenant *tenant)
{
    struct pid_list list = {.count = 0};
    size_t size;

    for (uint32_t i = 0; i < tenant->process_count; i++)
        add_pid(&list, tenant->processes[i].pid);
    for (uint32_t i = 0; i < snapshot->foreign_count; i++)
        if (str_equals(snapshot->foreign[i].tenant, tenant->name) && !is_repeated(snapshot, i))
            add_pid(&list, snapshot->foreign[i].pid);
    if (list.is_full)
        tell_trouble(entry, "its file has not room for all of its processes");
    size = list.count * sizeof(*list.pids);
    if (list.count == entry->pid_count && memcmp(list.pids, entry->pids, size) == 0)
        return;
    memcpy(entry->pids, list.pids, size);
    entry->pid_count = list.count;
    entry->head_count = WHOLE_PERIOD;
    (void)v2_region_set_pids(&entry->image, list.pids, list.count); /* there is room for them */
}

/* --- the file -------------------------------------------------------------------------------- */

static int open_entry(const struct foreign_region *region, struct entry *entry, struct err *err)
{
    entry->pod_fd = v2_folder_open_pod(region->base_fd, &entry->pod, true, err);
    if (entry->pod_fd < 0)
        return entry->pod_fd;
    entry->fd = v2_folder_open_file(entry->pod_fd, true, err);
    if (entry->fd < 0)
        entry->fd = v2_folder_make_file(entry->pod_fd, &entry->image, err);
    return entry->fd < 0 ? entry->fd : 0;
}

/* A former daemon's that is in order says more than we know so far. */
static bool is_in_order(int fd)
{
    struct v2_region region;

    return v2_region_read(fd, &region, NULL) == 0 && region.version == 2;
}

static void write_entry(const struct foreign_region *region, struct entry *entry)
{
    struct err err = {0};
    int rc = 0;

    if (entry->fd >= 0 && !v2_folder_has_file(entry->pod_fd, entry->fd))
        close_entry(entry);
    if (entry->fd < 0) {
        entry->head_count = WHOLE_PERIOD;
        rc = open_entry(region, entry, &err);
    }
    if (!rc && !entry->is_told && is_in_order(entry->fd)) {
        rc = v2_region_write_heartbeat(entry->fd, entry->image.heartbeat_unix_s, &err);
    } else if (!rc && entry->head_count < WHOLE_PERIOD) {
        entry->head_count++;
        rc = v2_region_write_head(entry->fd, &entry->image, &err);
    } else if (!rc) {
        entry->head_count = 0;
        rc = v2_region_write(entry->fd, &entry->image, &err);
    }
    if (rc < 0) {
        close_entry(entry);
        tell_trouble(entry, err.text);
    }
}

/* What is known of a tenant before its supervisor answers, or while it has none, is not what is. */
static bool has_answered(const struct snapshot_tenant *tenant)
{
    return tenant->state != SNAPSHOT_STARTING && tenant->state != SNAPSHOT_ORPHANED;
}

static void update_tenant(struct foreign_region *region, const struct snapshot *snapshot,
                          const struct snapshot_tenant *tenant, uint64_t now_unix_s)
{
    struct pod_name pod;
    struct entry *entry;

    if (!pod_name_of_tenant(&region->rule, tenant, &pod))
        return;
    entry = find_entry(region, &pod);
    if (!entry)
        entry = add_entry(region, &pod, now_unix_s);
    if (!entry || entry->is_seen)
        return; /* no memory: the next time; or two tenants of one pod: the first is shown */
    entry->is_seen = true;
    entry->was_unwell = entry->is_unwell;
    entry->is_unwell = false;
    entry->is_told = entry->is_told || has_answered(tenant);
    if (!entry->is_told || has_answered(tenant)) {
        describe_gpus(entry, snapshot, tenant, now_unix_s);
        describe_processes(entry, snapshot, tenant);
    }
    entry->image.heartbeat_unix_s = now_unix_s;
    write_entry(region, entry);
}

static bool is_known(void *context, const struct pod_name *pod)
{
    return find_entry(context, pod) != NULL;
}

static void sweep(struct foreign_region *region, uint64_t now_unix_s)
{
    struct v2_folder_rules rules = {.is_known = is_known,
                                    .context = region,
                                    .heartbeat_timeout_s = HEARTBEAT_TIMEOUT_S,
                                    .pids_timeout_s = PIDS_TIMEOUT_S};
    uint32_t removed = v2_folder_sweep(region->base_fd, &rules, now_unix_s);

    region->swept_unix_s = now_unix_s;
    if (removed)
        log_info("shared files of %u pods that are gone were removed", removed);
}

void foreign_region_update(struct foreign_region *region, const struct snapshot *snapshot,
                           uint64_t now_unix_s)
{
    LIST_EACH(node, &region->entries)
    CONTAINER_OF(node, struct entry, node)->is_seen = false;
    for (uint32_t i = 0; i < snapshot->tenant_count; i++)
        update_tenant(region, snapshot, &snapshot->tenants[i], now_unix_s);
    LIST_EACH_SAFE(node, following, &region->entries)
    {
        struct entry *entry = CONTAINER_OF(node, struct entry, node);

        if (entry->is_seen)
            continue;
        v2_folder_remove(region->base_fd, &entry->pod);
        free_entry(entry);
    }
    /* The time of day may jump back: then it is time, too. */
    if (snapshot->is_ready &&
        (now_unix_s < region->swept_unix_s || now_unix_s - region->swept_unix_s >= SWEEP_PERIOD_S))
        sweep(region, now_unix_s);
}
