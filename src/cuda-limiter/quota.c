#include "cuda-limiter/quota.h"

#include "abi/rm.h"
#include "cuda-limiter/descriptors.h"
#include "cuda-limiter/guest.h"
#include "utils/atomics.h"
#include "utils/shm.h"

#include <errno.h>
#include <stddef.h>

static struct {
    struct region_control *control; /* mapped read-only */
    struct ledger *ledger;
    struct ledger_row row;
    int control_fd, ledger_fd; /* 0: none, ours are never that */
    uint64_t control_identity, ledger_identity;
    uint64_t charged_bytes[RM_CARDS_MAX];
} quota;

static int find_slot(uint32_t device_instance)
{
    return quota.control ? region_find_device(quota.control, device_instance) : -1;
}

/* Brings our row to what we are charged for: a new ledger knows nothing of it. */
static void settle(uint32_t slot)
{
    uint32_t instance = quota.control->gpus[slot].device_instance;
    uint64_t held, owed;

    if (instance >= RM_CARDS_MAX)
        return;
    owed = quota.charged_bytes[instance];
    held = ledger_row_used(quota.ledger, quota.row.index, slot);
    /* Either fails only on a row that is not ours any more: the next WELCOME settles that. */
    if (owed > held)
        (void)!ledger_reserve(quota.ledger, &quota.row, slot, owed - held, REGION_NO_LIMIT);
    else if (held > owed)
        (void)!ledger_release(quota.ledger, &quota.row, slot, held - owed);
}

/* A number that the program has put to another use is not ours to close. */
static void close_own(int *fd, uint64_t identity)
{
    if (*fd > 0) {
        (void)descriptors_set(*fd, 0);
        if (descriptors_identify(*fd) == identity)
            attr_close(fd);
    }
    *fd = 0;
}

static void close_region(void)
{
    close_own(&quota.control_fd, quota.control_identity);
    close_own(&quota.ledger_fd, quota.ledger_identity);
}

static int map_region(int control_fd, int ledger_fd, struct region_control **ret_control,
                      struct ledger **ret_ledger)
{
    struct err err;
    void *control = NULL, *memory = NULL;
    int rc = shm_map(&control, control_fd, sizeof(struct region_control), false, &err);

    if (!rc)
        rc = region_check_control(control, &err);
    if (!rc)
        rc = shm_map(&memory, ledger_fd, ledger_size(), true, &err);
    if (!rc)
        rc = ledger_open(ret_ledger, memory, &err);
    if (rc < 0) {
        shm_unmap(control, sizeof(struct region_control));
        shm_unmap(memory, ledger_size());
        return rc;
    }
    *ret_control = control;
    return 0;
}

int quota_join(int control_fd, int ledger_fd, const struct ledger_row *row)
{
    struct region_control *control;
    struct ledger *ledger;
    int rc = map_region(control_fd, ledger_fd, &control, &ledger);

    if (rc < 0) {
        close_own(&control_fd, descriptors_identify(control_fd));
        close_own(&ledger_fd, descriptors_identify(ledger_fd));
        return rc;
    }
    shm_unmap(quota.control, sizeof(*quota.control));
    shm_unmap(quota.ledger, ledger_size());
    close_region();
    quota.control = control;
    quota.ledger = ledger;
    quota.row = *row;
    quota.control_fd = control_fd;
    quota.ledger_fd = ledger_fd;
    quota.control_identity = descriptors_identify(control_fd);
    quota.ledger_identity = descriptors_identify(ledger_fd);
    for (uint32_t slot = 0; slot < control->gpu_count && slot < REGION_GPUS_MAX; slot++)
        settle(slot);
    return 0;
}

bool quota_is_joined(void)
{
    return quota.control != NULL;
}

const struct region_control *quota_control(void)
{
    return quota.control;
}

enum region_on_loss quota_on_loss(void)
{
    if (quota.control)
        return load_relaxed(&quota.control->on_loss) == REGION_CLOSED ? REGION_CLOSED : REGION_OPEN;
    return guest_starts_closed() ? REGION_CLOSED : REGION_OPEN;
}

bool quota_get_fds(int ret_fds[2])
{
    if (!quota.control || descriptors_identify(quota.control_fd) != quota.control_identity ||
        descriptors_identify(quota.ledger_fd) != quota.ledger_identity)
        return false;
    ret_fds[0] = quota.control_fd;
    ret_fds[1] = quota.ledger_fd;
    return true;
}

bool quota_is_allowed(uint32_t device_instance)
{
    int slot = find_slot(device_instance);

    return slot < 0 || quota.control->gpus[slot].is_allowed;
}

bool quota_reserve(uint32_t device_instance, uint64_t bytes)
{
    int slot = find_slot(device_instance);

    if (!quota.control && guest_starts_closed())
        return false;
    if (slot >= 0) {
        uint64_t limit_bytes = load_relaxed(&quota.control->gpus[slot].memory_limit_bytes);

        /*
         * Other failures are ours, not the tenant's: it works on, and the count knows of the bytes.
         */
        if (ledger_reserve(quota.ledger, &quota.row, (uint32_t)slot, bytes, limit_bytes) == -ENOMEM)
            return false;
    }
    if (device_instance < RM_CARDS_MAX)
        quota.charged_bytes[device_instance] += bytes;
    return true;
}

void quota_release(uint32_t device_instance, uint64_t bytes)
{
    int slot = find_slot(device_instance);

    /* Fails where the row is not ours any more: then it holds nothing of ours either. */
    if (slot >= 0)
        (void)!ledger_release(quota.ledger, &quota.row, (uint32_t)slot, bytes);
    if (device_instance < RM_CARDS_MAX && quota.charged_bytes[device_instance] >= bytes)
        quota.charged_bytes[device_instance] -= bytes;
}

void quota_get_memory(uint32_t device_instance, struct port_memory *ret_memory)
{
    int slot = find_slot(device_instance);

    *ret_memory = (struct port_memory){.limit_bytes = REGION_NO_LIMIT};
    if (slot < 0)
        return;
    ret_memory->limit_bytes = load_relaxed(&quota.control->gpus[slot].memory_limit_bytes);
    ret_memory->used_bytes = ledger_used(quota.ledger, (uint32_t)slot);
}

void quota_forget(void)
{
    close_region();
    shm_unmap(quota.control, sizeof(*quota.control));
    shm_unmap(quota.ledger, ledger_size());
    quota.control = NULL;
    quota.ledger = NULL;
    quota.row = (struct ledger_row){0};
    for (uint32_t i = 0; i < RM_CARDS_MAX; i++)
        quota.charged_bytes[i] = 0;
}

void quota_lose_descriptor(int fd)
{
    if (fd == quota.control_fd)
        quota.control_fd = 0;
    if (fd == quota.ledger_fd)
        quota.ledger_fd = 0;
}
