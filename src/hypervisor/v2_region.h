#pragma once
/*
 * v2_region - the shared file of one pod, version 2, as limiters and tools that are not ours map
 * it: bit for bit the layout of the system we follow (docs/design/compatibility.md). We only ever
 * publish there; nothing that we decide comes from it.
 *
 * Its readers may write it too, and truncate it. So it is never mapped here: a mapping of a file
 * that somebody cuts kills with SIGBUS whoever looks at it. It is written with pwrite(), word by
 * word where something differs, and read into memory of our own, where every length, tag, count
 * and pid is looked at before it is used. What pwrite() costs: the kernel does not promise that a
 * mapped reader sees eight bytes change at once. A heartbeat seen halfway is one that is wrong for
 * one look, at a carry; what is limited is limited elsewhere.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define V2_REGION_SIZE        35504
#define V2_REGION_DEVICES_MAX 16
#define V2_REGION_PIDS_MAX    2048
#define V2_REGION_UUID_SIZE   64 /* with its NUL */
#define V2_REGION_TAG_V1      0u
#define V2_REGION_TAG_V2      1u

/* Floating-point words are the bits of an IEEE double; what they are words for is their name. */
struct v2_region_slot {
    char uuid[V2_REGION_UUID_SIZE]; /* NUL-padded */
    uint32_t up_limit_percent, pad_68;
    uint64_t memory_limit_bytes;
    uint32_t total_cuda_cores, pad_84;
    uint64_t memory_used_bytes;
    double refill_tokens_per_s, capacity_tokens, current_tokens;
    double last_update_unix_s;
    uint32_t is_active, pad_132;
};

/* The file. Written by the daemon; a foreign limiter takes tokens and nothing else. */
struct v2_region_image {
    uint32_t tag, pad_4;
    struct v2_region_slot slots[V2_REGION_DEVICES_MAX]; /* at the card's NVML index */
    uint32_t device_count, pad_2188;                    /* active slots */
    uint64_t heartbeat_unix_s;
    uint64_t lock; /* 0: free; for readers among themselves */
    uint64_t pids[V2_REGION_PIDS_MAX];
    uint64_t
        bitmap[V2_REGION_PIDS_MAX]; /* 32 words in use; pid i is bit 63 - i % 64 of word i/64 */
    uint64_t pid_count, creator_pid;
    uint8_t spare[512]; /* left alone */
};

_Static_assert(sizeof(struct v2_region_slot) == 136, "layout");
_Static_assert(offsetof(struct v2_region_slot, up_limit_percent) == 64, "layout");
_Static_assert(offsetof(struct v2_region_slot, memory_limit_bytes) == 72, "layout");
_Static_assert(offsetof(struct v2_region_slot, total_cuda_cores) == 80, "layout");
_Static_assert(offsetof(struct v2_region_slot, memory_used_bytes) == 88, "layout");
_Static_assert(offsetof(struct v2_region_slot, refill_tokens_per_s) == 96, "layout");
_Static_assert(offsetof(struct v2_region_slot, capacity_tokens) == 104, "layout");
_Static_assert(offsetof(struct v2_region_slot, current_tokens) == 112, "layout");
_Static_assert(offsetof(struct v2_region_slot, last_update_unix_s) == 120, "layout");
_Static_assert(offsetof(struct v2_region_slot, is_active) == 128, "layout");
_Static_assert(sizeof(struct v2_region_image) == V2_REGION_SIZE, "layout");
_Static_assert(offsetof(struct v2_region_image, slots) == 8, "layout");
_Static_assert(offsetof(struct v2_region_image, device_count) == 2184, "layout");
_Static_assert(offsetof(struct v2_region_image, heartbeat_unix_s) == 2192, "layout");
_Static_assert(offsetof(struct v2_region_image, lock) == 2200, "layout");
_Static_assert(offsetof(struct v2_region_image, pids) == 2208, "layout");
_Static_assert(offsetof(struct v2_region_image, bitmap) == 18592, "layout");
_Static_assert(offsetof(struct v2_region_image, pid_count) == 34976, "layout");
_Static_assert(offsetof(struct v2_region_image, creator_pid) == 34984, "layout");
_Static_assert(offsetof(struct v2_region_image, spare) == 34992, "layout");

/* What a card's slot is to say. */
struct v2_region_quota {
    const char *uuid; /* cut after 63 characters */
    uint64_t memory_limit_bytes;
    uint64_t memory_used_bytes;
};

/* An empty one, healthy now; creator_pid is the daemon's own. */
void v2_region_init(struct v2_region_image *ret_image, int32_t creator_pid, uint64_t now_unix_s);

/*
 * The card at an NVML index below V2_REGION_DEVICES_MAX becomes active, or (quota NULL) inactive.
 * Its compute limit is always 100, whatever the tenant's is: below it a foreign limiter takes
 * tokens, which nobody would refill, and would stand still. Its number of cores is always 0: we do
 * not know it, and no reader of version 2 calculates with it.
 */
void v2_region_set_slot(struct v2_region_image *image, uint32_t slot,
                        const struct v2_region_quota *quota, uint64_t now_unix_s);

/*
 * The pids (positive, distinct) become the set; who was in it keeps its place. Returns how many
 * were left out for want of room.
 */
size_t v2_region_set_pids(struct v2_region_image *image, const int32_t *pids, size_t count);

/*
 * Makes the file (open for reading and writing) what the image is, but for the spare bytes: its
 * length, and each word that differs, rising. So a pid is there before the bit that says so.
 */
int v2_region_write(int fd, const struct v2_region_image *image, struct err *err) MUST_CHECK;

/* The same for all but the pids: a sixteenth of it to read, for when those have not changed. */
int v2_region_write_head(int fd, const struct v2_region_image *image, struct err *err) MUST_CHECK;

/* The heartbeat alone: a word that is written whatever else the file says. */
int v2_region_write_heartbeat(int fd, uint64_t now_unix_s, struct err *err) MUST_CHECK;

/* What a file of either version says, checked: of use for showing it, and for nothing else. */
struct v2_region_device {
    uint32_t slot;
    char uuid[V2_REGION_UUID_SIZE]; /* printable */
    uint32_t up_limit_percent, total_cuda_cores;
    int32_t available_cuda_cores; /* version 1 alone */
    uint64_t memory_limit_bytes, memory_used_bytes;
    double refill_tokens_per_s, capacity_tokens, current_tokens, last_update_unix_s; /* 2 alone */
};

struct v2_region {
    uint32_t version;      /* 1 or 2 */
    uint32_t device_count; /* as the file has it: may be anything */
    uint64_t heartbeat_unix_s, lock, creator_pid;
    uint32_t active_count; /* entries of `devices`: its active slots */
    struct v2_region_device devices[V2_REGION_DEVICES_MAX];
    uint32_t pid_count; /* entries of `pids`: those of its set that can be pids */
    int32_t pids[V2_REGION_PIDS_MAX];
};

/* -EPROTO: it is not one. */
int v2_region_decode(const void *bytes, size_t length, struct v2_region *ret_region,
                     struct err *err) MUST_CHECK;
int v2_region_read(int fd, struct v2_region *ret_region, struct err *err) MUST_CHECK;

/* Its readers' rule: the heartbeat is not 0, not of the future, and at most so old. */
bool v2_region_is_healthy(const struct v2_region *region, uint64_t now_unix_s, uint64_t timeout_s);
