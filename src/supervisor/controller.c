#include "supervisor/controller.h"

#include "ipc/message.h"
#include "supervisor/governor.h"
#include "supervisor/gpus.h"
#include "supervisor/neighbours.h"
#include "supervisor/observer.h"
#include "supervisor/reasons.h"
#include "supervisor/roster.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define ARMED_MAX 1024

/*
 * One GPU of the tenant. Its thread, started with the first object, steps the governor without the
 * lock; is_stepping says so, and whoever takes objects or peers away waits for its end.
 */
struct slot {
    struct controller *controller;
    uint32_t number;
    bool has_thread, is_stepping, has_change;
    bool may_go_off;       /* by what the step in progress, or the newest, was given */
    uint32_t waiter_count; /* those that wait for the end of a step go before the next one */
    pthread_t thread;
    pthread_cond_t changed; /* something for the thread to see, or a step has ended */
    struct roster roster;
    struct controller_quota quota;
    struct governor governor;
    struct controller_state state; /* a copy, of after the newest step */
};

struct controller {
    struct region_control *control;
    struct observer *observer;
    int event_fd;
    bool is_stopping, wants_armed;
    pthread_mutex_t lock;
    const struct region_control *peers[GOVERNOR_PEERS_MAX];
    size_t peer_count;
    pid_t armed[ARMED_MAX];
    size_t armed_count;
    struct slot slots[REGION_GPUS_MAX];
};

static void lock(struct controller *controller)
{
    (void)pthread_mutex_lock(&controller->lock); /* fails for misuse only */
}

static void unlock(struct controller *controller)
{
    (void)pthread_mutex_unlock(&controller->lock);
}

static void wake(struct slot *slot)
{
    slot->has_change = true;
    (void)pthread_cond_broadcast(&slot->changed);
}

static void raise_event(const struct controller *controller)
{
    const uint64_t one = 1;

    if (write(controller->event_fd, &one, sizeof(one)) < 0)
        log_debug("controller: event: %d", errno); /* it is readable already */
}

static bool is_armed(const struct controller *controller, pid_t pid)
{
    for (size_t i = 0; i < controller->armed_count; i++)
        if (controller->armed[i] == pid)
            return true;
    return false;
}

/* Caps beyond the whole shrink: a peer's facts cannot make an uncapped tenant capped. */
static bool may_go_off(const struct slot *slot)
{
    return slot->roster.count && slot->state.engine == REGION_ENGINE_RM &&
           (slot->quota.cap_milli_percent < SLICES_NO_CAP || slot->quota.is_suspended);
}

/*
 * Guards are needed as soon as a tenant with a cap has compute channels, and for as long as some
 * are off: who is resumed has them back with the next step, or never, should we be stopped here.
 */
static void judge_wants_armed(struct controller *controller)
{
    bool wants = false;

    for (size_t i = 0; i < REGION_GPUS_MAX; i++) {
        const struct slot *slot = &controller->slots[i];

        wants |= may_go_off(slot) || slot->state.is_off || (slot->is_stepping && slot->may_go_off);
    }
    if (wants == controller->wants_armed)
        return;
    controller->wants_armed = wants;
    raise_event(controller);
}

static void wait_until(struct slot *slot, uint64_t instant_ns)
{
    struct timespec instant = {.tv_sec = (time_t)(instant_ns / NS_PER_SEC),
                               .tv_nsec = (long)(instant_ns % NS_PER_SEC)};

    while (!slot->has_change && !slot->controller->is_stopping && clock_now_ns() < instant_ns)
        if (pthread_cond_timedwait(&slot->changed, &slot->controller->lock, &instant) == ETIMEDOUT)
            return;
}

/* One step, without the lock; what it was given does not change meanwhile. */
static uint64_t step(struct slot *slot)
{
    struct controller *controller = slot->controller;
    const struct region_control *peers[GOVERNOR_PEERS_MAX];
    struct roster roster = slot->roster;
    struct governor_input input = {.quota = slot->quota,
                                   .roster = &roster,
                                   .peers = peers,
                                   .peer_count = controller->peer_count,
                                   .busy_percent = UINT32_MAX};
    enum region_engine engine = slot->state.engine;
    uint64_t next_ns;

    for (size_t i = 0; i < controller->peer_count; i++)
        peers[i] = controller->peers[i];
    slot->is_stepping = true;
    slot->may_go_off = may_go_off(slot);
    if (slot->has_change) {
        slot->governor.plan_ns = 0;
        slot->governor.facts_ns = 0;
    }
    slot->has_change = false;
    unlock(controller);
    /* NVML's calls wait for the same locks as ours: only where they tell something. */
    if (input.quota.cap_milli_percent < SLICES_NO_CAP && !slot->governor.has_active_peer)
        input.busy_percent = observer_read(
            controller->observer, controller->control->gpus[slot->number].uuid, &input.busy_stamp);
    next_ns = governor_step(&slot->governor, &input);
    lock(controller);
    slot->is_stepping = false;
    slot->state = slot->governor.state;
    slot->state.is_off = slot->governor.is_off;
    if (slot->state.engine != engine)
        raise_event(controller);
    judge_wants_armed(controller);
    (void)pthread_cond_broadcast(&slot->changed);
    return next_ns;
}

static void *run(void *argument)
{
    struct slot *slot = argument;
    struct controller *controller = slot->controller;

    lock(controller);
    while (!controller->is_stopping) {
        wait_until(slot, step(slot));
        while (slot->waiter_count && !controller->is_stopping)
            (void)pthread_cond_wait(&slot->changed, &controller->lock);
    }
    unlock(controller);
    governor_release(&slot->governor, &slot->roster);
    governor_fini(&slot->governor);
    return NULL;
}

/* Called with the lock held. */
static void wait_for_step(struct slot *slot)
{
    slot->waiter_count++;
    while (slot->is_stepping)
        (void)pthread_cond_wait(&slot->changed, &slot->controller->lock);
    slot->waiter_count--;
    (void)pthread_cond_broadcast(&slot->changed);
}

static int start_thread(struct slot *slot)
{
    sigset_t all, old;
    int rc;

    if (slot->has_thread)
        return 0;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the loop's */
    rc = pthread_create(&slot->thread, NULL, run, slot);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    slot->has_thread = rc == 0;
    return -rc;
}

static int init_slot(struct controller *controller, uint32_t number, const struct gpus_card *card)
{
    struct slot *slot = &controller->slots[number];
    pthread_condattr_t attributes;

    *slot = (struct slot){.controller = controller,
                          .number = number,
                          .quota = {SLICES_NO_CAP, 1, REGION_NORMAL, false}};
    governor_init(&slot->governor, controller->control, number, card);
    slot->state = slot->governor.state;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&slot->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return roster_init(&slot->roster);
}

int controller_new(struct controller **ret_controller, struct region_control *control,
                   const struct gpus_card *const *cards, struct err *err)
{
    struct controller *controller = calloc(1, sizeof(*controller));
    int rc;

    if (!controller)
        return err_set(err, ENOMEM, "allocate the controller");
    controller->control = control;
    (void)pthread_mutex_init(&controller->lock, NULL);
    controller->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (controller->event_fd < 0) {
        rc = err_set(err, errno, "make the controller's event");
        free(controller);
        return rc;
    }
    rc = observer_new(&controller->observer, err);
    for (uint32_t i = 0; !rc && i < control->gpu_count && i < REGION_GPUS_MAX; i++) {
        rc = init_slot(controller, i, cards[i]);
        if (rc < 0)
            (void)err_set(err, -rc, "allocate the controller of GPU %u", i);
    }
    if (rc < 0) {
        controller_free(controller);
        return rc;
    }
    *ret_controller = controller;
    return 0;
}

void controller_free(struct controller *controller)
{
    if (!controller)
        return;
    lock(controller);
    controller->is_stopping = true;
    for (size_t i = 0; i < REGION_GPUS_MAX; i++)
        if (controller->slots[i].controller)
            (void)pthread_cond_broadcast(&controller->slots[i].changed);
    unlock(controller);
    for (size_t i = 0; i < REGION_GPUS_MAX; i++) {
        struct slot *slot = &controller->slots[i];

        if (slot->has_thread)
            (void)pthread_join(slot->thread, NULL);
        if (slot->controller)
            (void)pthread_cond_destroy(&slot->changed);
        roster_fini(&slot->roster);
    }
    observer_free(controller->observer);
    (void)pthread_mutex_destroy(&controller->lock);
    attr_close(&controller->event_fd);
    free(controller);
}

static struct slot *find_slot(struct controller *controller, uint32_t number)
{
    bool is_there = number < REGION_GPUS_MAX && controller->slots[number].controller;

    return is_there ? &controller->slots[number] : NULL;
}

void controller_set_quota(struct controller *controller, uint32_t number,
                          const struct controller_quota *quota)
{
    struct slot *slot = find_slot(controller, number);
    struct region_facts facts = {.cap_milli_percent = quota->cap_milli_percent,
                                 .weight = quota->weight,
                                 .priority = (uint32_t)quota->priority,
                                 .duty_milli_percent = UINT32_MAX,
                                 .used_milli_percent = UINT32_MAX};

    if (!slot)
        return;
    lock(controller);
    slot->quota = *quota;
    if (!slot->has_thread) /* else the thread is the facts' one writer */
        region_write_facts(&controller->control->gpus[number], &facts);
    wake(slot);
    judge_wants_armed(controller);
    unlock(controller);
}

int controller_add(struct controller *controller, const struct controller_object *object)
{
    struct slot *slot = find_slot(controller, object->slot);
    int rc;

    if (!slot)
        return -EINVAL;
    lock(controller);
    wait_for_step(slot); /* the step works on the entries */
    rc = roster_add(&slot->roster, object, is_armed(controller, object->pid));
    if (!rc)
        rc = start_thread(slot);
    wake(slot);
    judge_wants_armed(controller);
    unlock(controller);
    return rc;
}

void controller_remove(struct controller *controller, pid_t pid, int fd, uint32_t client,
                       uint32_t object)
{
    lock(controller);
    for (size_t i = 0; i < REGION_GPUS_MAX; i++) {
        struct slot *slot = find_slot(controller, (uint32_t)i);

        if (!slot)
            continue;
        wait_for_step(slot);
        roster_remove(&slot->roster, pid, fd, client, object);
    }
    judge_wants_armed(controller);
    unlock(controller);
}

static void forget_armed(struct controller *controller, pid_t pid)
{
    for (size_t i = controller->armed_count; i-- > 0;)
        if (controller->armed[i] == pid)
            controller->armed[i] = controller->armed[--controller->armed_count];
}

void controller_remove_process(struct controller *controller, pid_t pid, int fd)
{
    lock(controller);
    if (fd < 0)
        forget_armed(controller, pid);
    for (size_t i = 0; i < REGION_GPUS_MAX; i++) {
        struct slot *slot = find_slot(controller, (uint32_t)i);

        if (!slot)
            continue;
        wait_for_step(slot);
        roster_remove_process(&slot->roster, pid, fd);
    }
    judge_wants_armed(controller);
    unlock(controller);
}

bool controller_wants_armed(const struct controller *controller)
{
    struct controller *unlocked = (struct controller *)(uintptr_t)controller;
    bool wants;

    lock(unlocked);
    wants = controller->wants_armed;
    unlock(unlocked);
    return wants;
}

void controller_set_armed(struct controller *controller, pid_t pid, bool is_armed_now)
{
    lock(controller);
    forget_armed(controller, pid);
    if (is_armed_now && controller->armed_count < ARMED_MAX)
        controller->armed[controller->armed_count++] = pid;
    for (size_t i = 0; i < REGION_GPUS_MAX; i++) {
        struct slot *slot = find_slot(controller, (uint32_t)i);

        if (!slot)
            continue;
        wait_for_step(slot);
        roster_set_armed(&slot->roster, pid, is_armed_now);
        wake(slot);
    }
    unlock(controller);
}

int controller_event_fd(const struct controller *controller)
{
    return controller->event_fd;
}

int controller_add_peer(struct controller *controller, const struct region_control *peer)
{
    int rc = 0;

    lock(controller);
    if (controller->peer_count == GOVERNOR_PEERS_MAX)
        rc = -ENOSPC;
    else
        controller->peers[controller->peer_count++] = peer;
    for (size_t i = 0; i < REGION_GPUS_MAX; i++)
        if (controller->slots[i].controller)
            wake(&controller->slots[i]);
    unlock(controller);
    return rc;
}

void controller_remove_peer(struct controller *controller, const struct region_control *peer)
{
    lock(controller);
    for (size_t i = controller->peer_count; i-- > 0;)
        if (controller->peers[i] == peer)
            controller->peers[i] = controller->peers[--controller->peer_count];
    for (size_t i = 0; i < REGION_GPUS_MAX; i++) {
        if (!controller->slots[i].controller)
            continue;
        wait_for_step(&controller->slots[i]);
        wake(&controller->slots[i]);
    }
    unlock(controller);
}

void controller_get_state(struct controller *controller, uint32_t number,
                          struct controller_state *ret_state)
{
    struct slot *slot = find_slot(controller, number);

    *ret_state = (struct controller_state){.used_milli_percent = UINT64_MAX,
                                           .duty_milli_percent = UINT64_MAX,
                                           .slice_us = UINT64_MAX,
                                           .entitled_milli_percent = UINT64_MAX,
                                           .call_ns = UINT64_MAX};
    if (!slot)
        return;
    lock(controller);
    *ret_state = slot->state;
    unlock(controller);
}

void controller_explain(struct controller *controller, uint32_t number,
                        struct message_explained *ret_explained)
{
    struct slot *slot = find_slot(controller, number);

    memset(ret_explained, 0, sizeof(*ret_explained));
    message_init(ret_explained, MESSAGE_EXPLAINED, sizeof(*ret_explained));
    if (!slot)
        return;
    lock(controller);
    wait_for_step(slot);
    (void)str_format(ret_explained->uuid, sizeof(ret_explained->uuid), "%s",
                     controller->control->gpus[number].uuid); /* same size */
    ret_explained->nvml_index = controller->control->gpus[number].nvml_index;
    reasons_fill(ret_explained, &slot->governor, &slot->quota);
    neighbours_describe(ret_explained, controller->peers, controller->peer_count);
    unlock(controller);
}
