#include "supervisor/actuator.h"

#include "abi/rm.h"
#include "rm/control.h"

#include <errno.h>

static bool is_governed(const struct roster_entry *entry)
{
    return entry->object.channel && roster_is_compute(entry);
}

int actuator_set_slices(struct roster *roster, uint64_t slice_us, uint32_t *ret_status)
{
    int calls = 0, first = 0;

    for (size_t i = 0; i < roster->count; i++) {
        struct roster_entry *entry = &roster->entries[i];
        uint32_t status;
        int rc;

        if (entry->object.channel || !entry->object.group || !roster_is_compute(entry) ||
            entry->slice_us == slice_us)
            continue;
        rc = control_set_slice(entry->object.fd, entry->object.client, entry->object.group,
                               slice_us, &status);
        calls++;
        entry->slice_us = slice_us; /* a refused one is not asked again until the slice changes */
        if (rc < 0 && !first) {
            first = rc;
            *ret_status = status;
        }
    }
    return first ? first : calls;
}

/*
 * One call: up to RM_DISABLE_CHANNELS_MAX channels, each with its own client, on the first one's
 * file.
 */
struct batch {
    struct roster_entry *entries[RM_DISABLE_CHANNELS_MAX];
    size_t count;
};

/* Whether channels are off after a call. One that failed otherwise may have had its effect. */
static bool is_off_after(bool is_disable, int rc, uint32_t status)
{
    bool is_refused =
        rc == -EREMOTEIO && (status == RM_INSUFFICIENT_PERMISSIONS || status == RM_NOT_SUPPORTED);

    return is_disable ? !is_refused : rc != 0;
}

static int send(struct roster_entry *const *entries, size_t count, bool is_disable,
                uint32_t *ret_status)
{
    struct control_channel channels[RM_DISABLE_CHANNELS_MAX] = {{0}};
    const struct controller_object *first = &entries[0]->object;
    const struct control_at at = {
        .fd = first->fd, .client = first->client, .object = first->subdevice};
    int rc;

    for (size_t i = 0; i < count; i++)
        channels[i] =
            (struct control_channel){entries[i]->object.client, entries[i]->object.channel};
    rc = control_switch(&at, is_disable, channels, count, ret_status);
    for (size_t i = 0; i < count; i++)
        entries[i]->is_disabled = is_off_after(is_disable, rc, *ret_status);
    return rc;
}

/* One channel that has just gone makes the whole call fail: then each is named by itself. */
static int send_batch(struct batch *batch, bool is_disable, uint32_t *ret_status)
{
    int rc = send(batch->entries, batch->count, is_disable, ret_status), first = 0;

    if (rc < 0 && batch->count > 1) {
        for (size_t i = 0; i < batch->count; i++) {
            rc = send(&batch->entries[i], 1, is_disable, ret_status);
            if (rc < 0 && !first)
                first = rc;
        }
        rc = first;
    }
    batch->count = 0;
    return rc;
}

int actuator_switch(struct roster *roster, bool is_disable, uint32_t *ret_status)
{
    struct batch batch = {.count = 0};
    int calls = 0, first = 0;

    for (size_t i = 0; i <= roster->count; i++) {
        struct roster_entry *entry = &roster->entries[i];
        bool is_end = i == roster->count;

        if (!is_end && is_governed(entry) && entry->is_disabled != is_disable &&
            (entry->is_armed || !is_disable))
            batch.entries[batch.count++] = entry;
        if (batch.count == RM_DISABLE_CHANNELS_MAX || (is_end && batch.count)) {
            int rc = send_batch(&batch, is_disable, ret_status);

            calls++;
            if (rc < 0 && !first)
                first = rc;
        }
    }
    return first ? first : calls;
}

size_t actuator_calls(const struct roster *roster)
{
    size_t count = 0;

    for (size_t i = 0; i < roster->count; i++)
        count += is_governed(&roster->entries[i]);
    return (count + RM_DISABLE_CHANNELS_MAX - 1) / RM_DISABLE_CHANNELS_MAX;
}

bool actuator_may_disable(const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        if (is_governed(&roster->entries[i]) && roster->entries[i].is_armed)
            return true;
    return false;
}

bool actuator_is_all_off(const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        if (is_governed(&roster->entries[i]) && !roster->entries[i].is_disabled)
            return false;
    return true;
}
