#include "cuda-limiter/quota.h"

#include "abi/rm.h"
#include "cuda-limiter/descriptors.h"
#include "cuda-limiter/guest.h"
#include "utils/atomics.h"
#include "utils/shm.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

/* Where the figures of a card are, for those who read without the lock. */
struct card {
    const _Atomic uint64_t *limit_bytes; /* NULL: not in the region */
    struct ledger *ledger;
    uint32_t slot;
};

static _Alignas(64) struct {
    /*
     * RM_CARDS_MAX of them, by device instance; NULL: no region. What was once here is never
     * changed nor unmapped, because a thread may be reading it.
     */
    _Atomic(const struct card *) cards;
    struct card first_cards[RM_CARDS_MAX]; /* the first region's, beside the pointer */
    bool has_first_cards;
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

/* The card, where it is one of the region's, else NULL. */
static inline const struct card *find_card(uint32_t device_instance)
{
    /* Pairs with the release of publish_cards(). */
    const struct card *cards = load_acquire(&quota.cards);

    if (!cards || device_instance >= RM_CARDS_MAX || !cards[device_instance].limit_bytes)
        return NULL;
    return &cards[device_instance];
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

static void unmap_region(struct region_control *control, void *ledger)
{
    shm_unmap(control, sizeof(*control));
    shm_unmap(ledger, ledger_size());
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
        unmap_region(control, memory);
        return rc;
    }
    *ret_control = control;
    return 0;
}

static struct card *find_room(void)
{
    void *memory;

    if (!quota.has_first_cards)
        return quota.first_cards;
    memory = mmap(NULL, sizeof(quota.first_cards), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int publish_cards(const struct region_control *control, struct ledger *ledger)
{
    struct card *cards = find_room();

    if (!cards)
        return -ENOMEM;
    for (uint32_t instance = 0; instance < RM_CARDS_MAX; instance++) {
        int slot = region_find_device(control, instance);

        if (slot >= 0)
            cards[instance] =
                (struct card){&control->gpus[slot].memory_limit_bytes, ledger, (uint32_t)slot};
    }
    quota.has_first_cards = true;
    /* Pairs with the acquire of find_card(): they are filled in. */
    store_release(&quota.cards, cards);
    return 0;
}

/*
 * Makes the descriptors' region ours. The same one again, which is what a supervisor that takes
 * over brings, is where it was. Another one takes its place, and the old one's mappings stay: it
 * is a few pages, and rare.
 */
static int take_region(int control_fd, int ledger_fd)
{
    struct region_control *control;
    struct ledger *ledger;
    int rc = map_region(control_fd, ledger_fd, &control, &ledger);

    if (rc < 0)
        return rc;
    if (quota.control && descriptors_identify(control_fd) == quota.control_identity &&
        descriptors_identify(ledger_fd) == quota.ledger_identity) {
        unmap_region(control, ledger);
        return 0;
    }
    rc = publish_cards(control, ledger);
    if (rc < 0) {
        unmap_region(control, ledger);
        return rc;
    }
    quota.control = control;
    quota.ledger = ledger;
    return 0;
}

int quota_join(int control_fd, int ledger_fd, const struct ledger_row *row)
{
    int rc = take_region(control_fd, ledger_fd);

    if (rc < 0) {
        close_own(&control_fd, descriptors_identify(control_fd));
        close_own(&ledger_fd, descriptors_identify(ledger_fd));
        return rc;
    }
    close_region();
    quota.row = *row;
    quota.control_fd = control_fd;
    quota.ledger_fd = ledger_fd;
    quota.control_identity = descriptors_identify(control_fd);
    quota.ledger_identity = descriptors_identify(ledger_fd);
    for (uint32_t slot = 0; slot < quota.control->gpu_count && slot < REGION_GPUS_MAX; slot++)
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

HOT void quota_prefetch(void)
{
    const struct card *cards = load_relaxed(&quota.cards); /* nothing is decided on */

    __builtin_prefetch(&quota.row, 1);
    __builtin_prefetch(&quota.charged_bytes[0], 1);
    if (!LIKELY(cards))
        return;
    __builtin_prefetch(cards->limit_bytes, 0);
    if (LIKELY(cards->ledger))
        ledger_prefetch(cards->ledger, &quota.row, 0);
}

HOT bool quota_reserve(uint32_t device_instance, uint64_t bytes)
{
    const struct card *card = find_card(device_instance);

    /*
     * Other failures are ours, not the tenant's: it works on, and the count knows of the bytes.
     */
    if (LIKELY(card) && ledger_reserve(quota.ledger, &quota.row, card->slot, bytes,
                                       load_relaxed(card->limit_bytes)) == -ENOMEM)
        return false;
    if (!card && !quota.control && guest_starts_closed())
        return false;
    if (device_instance < RM_CARDS_MAX)
        quota.charged_bytes[device_instance] += bytes;
    return true;
}

HOT void quota_release(uint32_t device_instance, uint64_t bytes)
{
    const struct card *card = find_card(device_instance);

    /* Fails where the row is not ours any more: then it holds nothing of ours either. */
    if (card)
        (void)!ledger_release(quota.ledger, &quota.row, card->slot, bytes);
    if (device_instance < RM_CARDS_MAX && quota.charged_bytes[device_instance] >= bytes)
        quota.charged_bytes[device_instance] -= bytes;
}

HOT void quota_get_memory(uint32_t device_instance, struct port_memory *ret_memory)
{
    const struct card *card = find_card(device_instance);

    *ret_memory = (struct port_memory){.limit_bytes = REGION_NO_LIMIT};
    if (!card)
        return;
    ret_memory->limit_bytes = load_relaxed(card->limit_bytes);
    ret_memory->used_bytes = ledger_used(card->ledger, card->slot);
}

void quota_forget(void)
{
    close_region();
    /* Not unmapped: the program may have forked in a handler, above a thread that reads them. */
    store_relaxed(&quota.cards, NULL);
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
