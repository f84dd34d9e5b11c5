#include "hypervisor/v2_region.h"

#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_LIMIT_PERCENT 100
#define FIRST_RATE       10.0
#define FIRST_CAPACITY   100.0
#define WORD_BITS        64u
#define WORD_SIZE        sizeof(uint64_t)
#define WRITTEN_WORDS    (offsetof(struct v2_region_image, spare) / WORD_SIZE)
#define HEAD_WORDS       (offsetof(struct v2_region_image, pids) / WORD_SIZE)
#define WORDS_TO_BRIDGE  8 /* one call rather than two over so many words that are alike */
#define HIGHEST_BIT      (UINT64_C(1) << (WORD_BITS - 1))

/* Version 1: nobody makes it any more, tools still meet it. */
struct v1_slot {
    char uuid[V2_REGION_UUID_SIZE];
    int32_t available_cuda_cores;
    uint32_t up_limit_percent;
    uint64_t memory_limit_bytes;
    uint32_t total_cuda_cores, pad_84;
    uint64_t memory_used_bytes;
    uint32_t is_active, pad_100;
};

struct v1_image {
    uint32_t tag, pad_4;
    struct v1_slot slots[V2_REGION_DEVICES_MAX];
    uint32_t device_count, pad_1676;
    uint64_t heartbeat_unix_s, lock;
    uint64_t pids[V2_REGION_PIDS_MAX], bitmap[V2_REGION_PIDS_MAX];
    uint64_t pid_count, creator_pid;
};

_Static_assert(sizeof(struct v1_slot) == 104, "layout");
_Static_assert(offsetof(struct v1_slot, memory_limit_bytes) == 72, "layout");
_Static_assert(offsetof(struct v1_slot, is_active) == 96, "layout");
_Static_assert(offsetof(struct v1_image, device_count) == 1672, "layout");
_Static_assert(offsetof(struct v1_image, pids) == 1696, "layout");
_Static_assert(offsetof(struct v1_image, bitmap) == 18080, "layout");
_Static_assert(offsetof(struct v1_image, creator_pid) == 34472, "layout");
_Static_assert(sizeof(struct v1_image) <= V2_REGION_SIZE, "layout");

void v2_region_init(struct v2_region_image *ret_image, int32_t creator_pid, uint64_t now_unix_s)
{
    memset(ret_image, 0, sizeof(*ret_image));
    ret_image->tag = V2_REGION_TAG_V2;
    ret_image->heartbeat_unix_s = now_unix_s;
    ret_image->creator_pid = (uint64_t)creator_pid;
}

void v2_region_set_slot(struct v2_region_image *image, uint32_t slot,
                        const struct v2_region_quota *quota, uint64_t now_unix_s)
{
    struct v2_region_slot *entry;

    if (slot >= V2_REGION_DEVICES_MAX)
        return;
    entry = &image->slots[slot];
    image->device_count -= entry->is_active;
    if (!quota) {
        memset(entry, 0, sizeof(*entry));
        return;
    }
    if (!entry->is_active)
        entry->last_update_unix_s = (double)now_unix_s;
    memset(entry->uuid, 0, sizeof(entry->uuid));
    (void)str_format(entry->uuid, sizeof(entry->uuid), "%s", quota->uuid); /* may be cut */
    entry->up_limit_percent = NO_LIMIT_PERCENT;
    entry->memory_limit_bytes = quota->memory_limit_bytes;
    entry->memory_used_bytes = quota->memory_used_bytes;
    entry->refill_tokens_per_s = FIRST_RATE;
    entry->capacity_tokens = FIRST_CAPACITY;
    entry->current_tokens = FIRST_CAPACITY;
    entry->is_active = 1;
    image->device_count++;
}

static bool has_bit(const uint64_t *bitmap, size_t index)
{
    return bitmap[index / WORD_BITS] & (HIGHEST_BIT >> index % WORD_BITS);
}

static int compare_pids(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;

    return (left > right) - (left < right);
}

/* Takes out of the set who is not in the sorted list any more; marks who is in both. */
static void keep_pids(struct v2_region_image *image, const int32_t *sorted, size_t count,
                      bool *is_kept)
{
    for (size_t i = 0; i < V2_REGION_PIDS_MAX; i++) {
        int32_t pid = (int32_t)image->pids[i];
        const int32_t *found;

        if (!has_bit(image->bitmap, i))
            continue;
        found = bsearch(&pid, sorted, count, sizeof(*sorted), compare_pids);
        if (found) {
            is_kept[found - sorted] = true;
            continue;
        }
        image->bitmap[i / WORD_BITS] &= ~(HIGHEST_BIT >> i % WORD_BITS);
        image->pid_count--;
    }
}

size_t v2_region_set_pids(struct v2_region_image *image, const int32_t *pids, size_t count)
{
    int32_t sorted[V2_REGION_PIDS_MAX];
    bool is_kept[V2_REGION_PIDS_MAX] = {false};
    size_t taken = count < V2_REGION_PIDS_MAX ? count : V2_REGION_PIDS_MAX, place = 0;

    if (taken)
        memcpy(sorted, pids, taken * sizeof(*pids));
    qsort(sorted, taken, sizeof(*sorted), compare_pids);
    keep_pids(image, sorted, taken, is_kept);
    for (size_t i = 0; i < taken; i++) {
        if (is_kept[i])
            continue;
        while (has_bit(image->bitmap, place))
            place++; /* ends: there are no more of them than places */
        image->pids[place] = (uint64_t)sorted[i];
        image->bitmap[place / WORD_BITS] |= HIGHEST_BIT >> place % WORD_BITS;
        image->pid_count++;
    }
    return count - taken;
}

/* Reads so many bytes from the beginning, less where the file ends; or a negative errno. */
static ssize_t read_beginning(int fd, void *buffer, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t count = pread(fd, (char *)buffer + length, size - length, (off_t)length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (!count)
            break;
        length += (size_t)count;
    }
    return (ssize_t)length;
}

static int write_words(int fd, const uint64_t *words, size_t first, size_t end)
{
    size_t at = first * WORD_SIZE;

    while (at < end * WORD_SIZE) {
        ssize_t count = pwrite(fd, (const char *)words + at, end * WORD_SIZE - at, (off_t)at);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        at += (size_t)count;
    }
    return 0;
}

/* Where the words that differ end that begin at `first`, alike ones between them included. */
static size_t find_end(const uint64_t *wanted, const uint64_t *found, size_t first, size_t count)
{
    size_t end = first + 1;

    for (size_t i = end; i < count && i < end + WORDS_TO_BRIDGE; i++)
        if (wanted[i] != found[i])
            end = i + 1;
    return end;
}

/* The first words of the file. */
static int write_beginning(int fd, const struct v2_region_image *image, size_t count,
                           struct err *err)
{
    uint64_t wanted[WRITTEN_WORDS], found[WRITTEN_WORDS];
    struct stat status;
    ssize_t length;
    int rc = 0;

    memcpy(wanted, image, count * WORD_SIZE);
    if (fstat(fd, &status) < 0)
        return err_set(err, errno, "look at a pod's shared file");
    if (status.st_size != V2_REGION_SIZE && ftruncate(fd, V2_REGION_SIZE) < 0)
        return err_set(err, errno, "give a pod's shared file its length");
    length = read_beginning(fd, found, count * WORD_SIZE);
    if (length < 0)
        return err_set(err, (int)-length, "read a pod's shared file");
    /* Cut again since: what is not there is written. */
    memset((char *)found + length, 0, count * WORD_SIZE - (size_t)length);
    for (size_t i = 0, end; i < count && !rc; i = end) {
        end = i + 1;
        if (wanted[i] == found[i])
            continue;
        end = find_end(wanted, found, i, count);
        rc = write_words(fd, wanted, i, end);
    }
    return rc < 0 ? err_set(err, -rc, "write a pod's shared file") : 0;
}

int v2_region_write(int fd, const struct v2_region_image *image, struct err *err)
{
    return write_beginning(fd, image, WRITTEN_WORDS, err);
}

int v2_region_write_head(int fd, const struct v2_region_image *image, struct err *err)
{
    return write_beginning(fd, image, HEAD_WORDS, err);
}

int v2_region_write_heartbeat(int fd, uint64_t now_unix_s, struct err *err)
{
    ssize_t count = pwrite(fd, &now_unix_s, sizeof(now_unix_s),
                           offsetof(struct v2_region_image, heartbeat_unix_s));

    if (count < 0)
        return err_set(err, errno, "write a pod's shared file");
    return count == sizeof(now_unix_s) ? 0 : err_set(err, ENOSPC, "write a pod's shared file");
}

static void copy_uuid(char *ret_uuid, const char *uuid)
{
    size_t length = strnlen(uuid, V2_REGION_UUID_SIZE - 1);

    for (size_t i = 0; i < length; i++)
        ret_uuid[i] = uuid[i] >= ' ' && uuid[i] <= '~' ? uuid[i] : '?';
    ret_uuid[length] = '\0';
}

static void copy_pids(struct v2_region *region, const uint64_t *pids, const uint64_t *bitmap)
{
    for (size_t i = 0; i < V2_REGION_PIDS_MAX; i++)
        if (has_bit(bitmap, i) && pids[i] >= 1 && pids[i] <= INT32_MAX)
            region->pids[region->pid_count++] = (int32_t)pids[i];
}

static void decode_v2(const struct v2_region_image *image, struct v2_region *region)
{
    region->version = 2;
    region->device_count = image->device_count;
    region->heartbeat_unix_s = image->heartbeat_unix_s;
    region->lock = image->lock;
    region->creator_pid = image->creator_pid;
    for (uint32_t i = 0; i < V2_REGION_DEVICES_MAX; i++) {
        const struct v2_region_slot *slot = &image->slots[i];
        struct v2_region_device *device = &region->devices[region->active_count];

        if (!slot->is_active)
            continue;
        region->active_count++;
        device->slot = i;
        copy_uuid(device->uuid, slot->uuid);
        device->up_limit_percent = slot->up_limit_percent;
        device->total_cuda_cores = slot->total_cuda_cores;
        device->memory_limit_bytes = slot->memory_limit_bytes;
        device->memory_used_bytes = slot->memory_used_bytes;
        device->refill_tokens_per_s = slot->refill_tokens_per_s;
        device->capacity_tokens = slot->capacity_tokens;
        device->current_tokens = slot->current_tokens;
        device->last_update_unix_s = slot->last_update_unix_s;
    }
    copy_pids(region, image->pids, image->bitmap);
}

static void decode_v1(const struct v1_image *image, struct v2_region *region)
{
    region->version = 1;
    region->device_count = image->device_count;
    region->heartbeat_unix_s = image->heartbeat_unix_s;
    region->lock = image->lock;
    region->creator_pid = image->creator_pid;
    for (uint32_t i = 0; i < V2_REGION_DEVICES_MAX; i++) {
        const struct v1_slot *slot = &image->slots[i];
        struct v2_region_device *device = &region->devices[region->active_count];

        if (!slot->is_active)
            continue;
        region->active_count++;
        device->slot = i;
        copy_uuid(device->uuid, slot->uuid);
        device->up_limit_percent = slot->up_limit_percent;
        device->total_cuda_cores = slot->total_cuda_cores;
        device->available_cuda_cores = slot->available_cuda_cores;
        device->memory_limit_bytes = slot->memory_limit_bytes;
        device->memory_used_bytes = slot->memory_used_bytes;
    }
    copy_pids(region, image->pids, image->bitmap);
}

int v2_region_decode(const void *bytes, size_t length, struct v2_region *ret_region,
                     struct err *err)
{
    union {
        struct v1_image v1;
        struct v2_region_image v2;
    } image;

    if (length != sizeof(image))
        return err_say(err, EPROTO, "a pod's shared file has %d bytes, and this one %zu",
                       V2_REGION_SIZE, length);
    memcpy(&image, bytes, sizeof(image));
    if (image.v2.tag != V2_REGION_TAG_V1 && image.v2.tag != V2_REGION_TAG_V2)
        return err_say(err, EPROTO, "there is no version with the tag %u", image.v2.tag);
    memset(ret_region, 0, sizeof(*ret_region));
    if (image.v2.tag == V2_REGION_TAG_V2)
        decode_v2(&image.v2, ret_region);
    else
        decode_v1(&image.v1, ret_region);
    return 0;
}

int v2_region_read(int fd, struct v2_region *ret_region, struct err *err)
{
    uint64_t words[V2_REGION_SIZE / WORD_SIZE + 1]; /* one more: a longer file is seen to be */
    ssize_t length = read_beginning(fd, words, sizeof(words));

    if (length < 0)
        return err_set(err, (int)-length, "read a pod's shared file");
    return v2_region_decode(words, (size_t)length, ret_region, err);
}

bool v2_region_is_healthy(const struct v2_region *region, uint64_t now_unix_s, uint64_t timeout_s)
{
    uint64_t beat = region->heartbeat_unix_s;

    return now_unix_s && beat && beat <= now_unix_s && now_unix_s - beat <= timeout_s;
}
