#pragma once
/*
 * switchlog - the log of context switches that the GPU's front end writes, and those who read it
 * through event buffers (gpu-time: class 0x90cd). Records reach the readers' buffers when they are
 * pushed: at a FLUSH, and some 30 times a second.
 */
#include "sim/gpu.h"
#include "utils/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SWITCHLOG_PENDING_MAX 16384
#define SWITCHLOG_PUSH_NS     UINT64_C(33000000)

struct rm_buffer_header;
struct rm_switch_record;

struct switchlog_entry {
    struct gpu_identity identity;
    bool is_start;
    uint64_t time_ns; /* the GPU's clock */
};

struct switchlog {
    struct list readers;
    uint64_t total; /* ever written; an entry's number is its place in this count */
    uint32_t pending_count;
    struct switchlog_entry pending[SWITCHLOG_PENDING_MAX]; /* not pushed yet; the last of `total` */
};

/* An event buffer; its memory is given by whoever made it, and is written only while enabled. */
struct switchlog_reader {
    struct list node;
    struct switchlog *records; /* NULL until bound */
    struct rm_buffer_header *header;
    struct rm_switch_record *ring;
    uint32_t capacity;
    uint32_t put;
    uint64_t count, dropped; /* own copies: what the header says may not be believed */
    uint64_t bound_at;       /* records before this one are not for it */
    bool is_enabled, is_keep_newest;
    bool is_all_users, is_privileged;
    uint32_t uid;
};

void switchlog_init(struct switchlog *records);
void switchlog_add(struct switchlog *records, bool is_start, const struct gpu_identity *identity,
                   uint64_t time_ns);

/* From now on; a reader that is bound already moves. */
void switchlog_bind(struct switchlog *records, struct switchlog_reader *reader);
void switchlog_unbind(struct switchlog_reader *reader);
void switchlog_push(struct switchlog *records);
bool switchlog_has_readers(const struct switchlog *records);
