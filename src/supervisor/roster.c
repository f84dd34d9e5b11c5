#include "supervisor/roster.h"

#include "abi/rm.h"

#include <errno.h>
#include <stdlib.h>

int roster_init(struct roster *roster)
{
    *roster = (struct roster){.entries = calloc(ROSTER_ENTRIES_MAX, sizeof(*roster->entries))};
    return roster->entries ? 0 : -ENOMEM;
}

void roster_fini(struct roster *roster)
{
    free(roster->entries);
    *roster = (struct roster){0};
}

bool roster_is_compute(const struct roster_entry *entry)
{
    return entry->object.engine >= RM_ENGINE_GRAPHICS &&
           entry->object.engine <= RM_ENGINE_GRAPHICS_LAST;
}

static struct roster_entry *find(struct roster *roster, const struct controller_object *object)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct controller_object *known = &roster->entries[i].object;

        if (known->pid == object->pid && known->fd == object->fd &&
            known->client == object->client && known->group == object->group &&
            known->channel == object->channel)
            return &roster->entries[i];
    }
    return NULL;
}

int roster_add(struct roster *roster, const struct controller_object *object, bool is_armed)
{
    struct roster_entry *entry = find(roster, object);

    if (entry) {
        entry->slice_us = 0;
        return 0;
    }
    if (roster->count == ROSTER_ENTRIES_MAX)
        return -ENOSPC;
    roster->entries[roster->count++] =
        (struct roster_entry){.object = *object, .is_armed = is_armed};
    return 0;
}

static bool is_meant(const struct controller_object *known, uint32_t client, uint32_t object)
{
    return known->client == client &&
           (object == client || known->group == object || known->channel == object);
}

static void remove_at(struct roster *roster, size_t i)
{
    roster->entries[i] = roster->entries[--roster->count];
}

void roster_remove(struct roster *roster, pid_t pid, int fd, uint32_t client, uint32_t object)
{
    for (size_t i = roster->count; i-- > 0;) {
        const struct controller_object *known = &roster->entries[i].object;

        if (known->pid == pid && known->fd == fd && is_meant(known, client, object))
            remove_at(roster, i);
    }
}

void roster_remove_process(struct roster *roster, pid_t pid, int fd)
{
    for (size_t i = roster->count; i-- > 0;) {
        const struct controller_object *known = &roster->entries[i].object;

        if (known->pid == pid && (fd < 0 || known->fd == fd))
            remove_at(roster, i);
    }
}

void roster_set_armed(struct roster *roster, pid_t pid, bool is_armed)
{
    for (size_t i = 0; i < roster->count; i++)
        if (roster->entries[i].object.pid == pid)
            roster->entries[i].is_armed = is_armed;
}
