#pragma once
/*
 * message - what travels over a tenant's control socket `tenants/<name>/control` (SOCK_SEQPACKET,
 * one message a packet, fixed binary layouts, host byte order). Every message begins with a header;
 * message_check() judges what was received before any field is used. Three kinds of peers connect:
 *
 *   guest   a process of the tenant: HELLO; gets WELCOME with two descriptors (control page,
 *           ledger); then tells of files, groups and channels. Nothing it sends is answered but by
 *           WELCOME, ARM.
 *   peer    another supervisor: HELLO; gets WELCOME with one descriptor (control page, read-only)
 *   client  the vgpu command: STATUS or SET; each is answered by one reply (STATUS_REPLY ends the
 *           list)
 *
 * A guest that connects again (its supervisor was replaced) passes its two region descriptors with
 * HELLO, so that an adopting supervisor finds the ledger, and then tells everything anew.
 */
#include "ipc/region.h"
#include "utils/attr.h"

#include <stddef.h>
#include <stdint.h>

#define MESSAGE_MAGIC    0x76677075u
#define MESSAGE_VERSION  2u
#define MESSAGE_SIZE_MAX 4096

enum message_type {
    MESSAGE_HELLO = 1,
    MESSAGE_WELCOME,
    MESSAGE_FILE,    /* guest: a descriptor of an open /dev/nvidiactl (one descriptor) */
    MESSAGE_GROUP,   /* guest: a channel group appeared, or a channel without a group (group 0) */
    MESSAGE_CHANNEL, /* guest: a channel appeared */
    MESSAGE_FREED,   /* guest: an object (and all below it) was freed */
    MESSAGE_CLOSED,  /* guest: its last descriptor of a file was closed */
    MESSAGE_ARM,     /* supervisor: leases may be set from now on (is_armed 1), or no more (0) */
    MESSAGE_ARMED, /* guest: its guard thread looks at leases; only then may channels be disabled */
    MESSAGE_COUNTERS, /* guest: its counters, at most once a second and at ARM */
    MESSAGE_STATUS,
    MESSAGE_STATUS_TENANT,
    MESSAGE_STATUS_PROCESS,
    MESSAGE_STATUS_GPU,
    MESSAGE_SET,
    MESSAGE_REPLY,
    MESSAGE_EXPLAIN,   /* client: why the plan is as it is; EXPLAINED for each GPU, then REPLY */
    MESSAGE_EXPLAINED, /* supervisor */
    MESSAGE_WATCH,     /* client: a STATUS's answer now, and after each change */
    MESSAGE_END,       /* client: the tenant ends (its processes are ended) */
    MESSAGE_LIST,      /* client to the daemon: NAME for each tenant, then REPLY */
    MESSAGE_NAME,      /* daemon: a tenant's name */
    MESSAGE_SELECT,    /* client to the daemon: what follows is meant for this tenant; REPLY */
    /* client to the daemon: a tenant (one descriptor: its front's socket); first a REPLY with
     * -EAGAIN, where it has to wait for room */
    MESSAGE_CREATE,
    MESSAGE_CREATED, /* daemon: what became of it */
    MESSAGE_RELOAD,  /* client to the daemon: read the configuration again; REPLY */
    MESSAGE_TYPE_END
};

enum message_role { MESSAGE_GUEST = 1, MESSAGE_PEER, MESSAGE_CLIENT };

struct message_header {
    uint32_t magic, version, type, length; /* length of the whole message */
};

struct message_hello {
    struct message_header header;
    uint32_t role;
    int32_t pid;         /* as the sender sees itself; the truth is SO_PEERCRED */
    uint64_t start_time; /* field 22 of /proc/self/stat, clock ticks since boot */
    char comm[16];       /* NUL-terminated */
};

struct message_welcome {
    struct message_header header;
    int32_t status;     /* 0, or a negative errno: -EPROTO other version, -EAGAIN no row left */
    uint32_t row;       /* the guest's row in the ledger */
    uint64_t pid_stamp; /* what the row carries; guests pass it to the ledger's calls */
};

struct message_file {
    struct message_header header;
    uint64_t file_id; /* the guest's own number for the open file */
};

struct message_group {
    struct message_header header;
    uint64_t file_id;
    uint32_t client, device_instance, subdevice, group;
    uint32_t engine; /* RM_GROUP_PARAMS_ENGINE as allocated */
    uint32_t reserved;
};

struct message_channel {
    struct message_header header;
    uint64_t file_id;
    uint32_t client, device_instance, subdevice, group; /* group 0: directly below a device */
    uint32_t channel, engine;
};

struct message_freed {
    struct message_header header;
    uint64_t file_id;
    uint32_t client, object; /* object == client: the client and all it had */
};

struct message_arm {
    struct message_header header;
    uint32_t is_armed, nonce; /* ARMED repeats both */
};

struct message_counters {
    struct message_header header;
    uint64_t rm_calls, rm_unparsed, refusals, messages_dropped, guard_enables;
};

struct message_status_tenant {
    struct message_header header;
    char name[64];
    int32_t supervisor_pid;
    uint32_t engine; /* enum region_engine */
    uint32_t state;  /* enum message_state */
    uint32_t process_count, gpu_count;
    uint32_t uid;     /* who it was made for */
    uint32_t on_loss; /* enum region_on_loss */
    uint32_t is_kept; /* it stays without processes until it is ended */
    uint64_t rm_calls, rm_unparsed, refusals, guard_enables;
};

/* An orphan has nobody to answer: vgpu ps sees that. QUEUED is the daemon's word. */
enum message_state { MESSAGE_RUNNING, MESSAGE_SUSPENDED, MESSAGE_QUEUED };

#define MESSAGE_UNKNOWN UINT64_MAX /* a value that was not measured: null, `-` */
struct message_status_process {
    struct message_header header;
    int32_t pid;
    uint32_t reserved;
    char comm[16];
    uint64_t memory_bytes[REGION_GPUS_MAX];
};

struct message_status_gpu {
    struct message_header header;
    char uuid[48];
    uint32_t nvml_index, weight, priority, busy_group_count;
    uint64_t memory_limit_bytes; /* REGION_NO_LIMIT: none */
    uint64_t memory_used_bytes;
    uint64_t card_bytes;
    uint64_t cap_milli_percent;                                /* 100000: no cap */
    uint64_t used_milli_percent, slice_us, duty_milli_percent; /* or MESSAGE_UNKNOWN */
    uint64_t entitled_milli_percent;                           /* or MESSAGE_UNKNOWN */
    uint64_t switch_calls, late_looks, control_failures;       /* of this supervisor */
    uint64_t control_ns; /* a switch call's length, moving average; or MESSAGE_UNKNOWN */
};

enum message_set_field {
    MESSAGE_SET_MEMORY = 1,
    MESSAGE_SET_COMPUTE = 2,
    MESSAGE_SET_WEIGHT = 4,
    MESSAGE_SET_PRIORITY = 8,
    MESSAGE_SET_SUSPENDED = 16, /* of all GPUs, whatever the mask */
};

struct message_set {
    struct message_header header;
    uint32_t fields;               /* of enum message_set_field */
    uint32_t gpu_mask;             /* bits of NVML indices; ~0: all */
    uint64_t memory_bytes;         /* or REGION_NO_LIMIT */
    uint32_t memory_milli_percent; /* of each card, where not 0 */
    uint32_t cap_milli_percent, weight, priority;
    uint32_t is_suspended; /* 1; MESSAGE_HELD: an operator has, and its user is not to resume it */
};

#define MESSAGE_HELD 2u

struct message_reply {
    struct message_header header;
    int32_t status; /* 0 or a negative errno */
    char text[240]; /* what was wrong; empty for 0 */
};

#define MESSAGE_NEIGHBOURS_MAX 16

struct message_neighbour {
    char name[64];
    uint32_t cap_milli_percent, weight, priority, busy_group_count, is_active;
    uint32_t used_milli_percent; /* ~0: not known */
};

/* The last plan of one tenant on one GPU, and all that it was made of. */
struct message_explained {
    struct message_header header;
    char uuid[48];
    uint32_t nvml_index, engine; /* enum region_engine */
    uint32_t is_suspended, is_active, is_off, has_records;
    uint32_t group_count, busy_group_count;       /* compute channel groups, and those with work */
    uint32_t cap_milli_percent, weight, priority; /* as asked for */
    uint32_t cap_in_force_milli_percent;          /* less where caps exceed the whole */
    uint32_t entitled_milli_percent;
    uint32_t idle_factor_milli; /* what its idling is worth; 1000: nothing */
    uint32_t rate_milli;        /* GPU time used per time that its channels are on */
    uint64_t used_milli_percent, duty_milli_percent, slice_us; /* or MESSAGE_UNKNOWN */
    uint64_t window_ns, phase_ns;                              /* of its budget; 0: it has no cap */
    int64_t balance_ns;       /* of its budget; negative: it has used more */
    uint64_t call_ns;         /* what a switch call takes of the GPU's 200 a second */
    uint64_t planned_ns;      /* CLOCK_MONOTONIC instant of the plan; 0: none yet */
    uint32_t tenant_count;    /* known on this GPU, this one among them */
    uint32_t neighbour_count; /* described below, at most MESSAGE_NEIGHBOURS_MAX */
    struct message_neighbour neighbours[MESSAGE_NEIGHBOURS_MAX];
};

struct message_end {
    struct message_header header;
    uint32_t is_forced; /* 0: refused with EBUSY while it has processes */
    uint32_t reserved;
};

struct message_name {
    struct message_header header;
    char name[64];
};

struct message_create {
    struct message_header header;
    char name[64];     /* empty: the daemon makes one */
    uint32_t gpu_mask; /* bits of NVML indices; 0: the one with the best fit */
    uint32_t on_loss;  /* enum region_on_loss */
    uint32_t is_kept;  /* it stays without processes until it is ended */
    uint32_t queue_ms; /* how long to wait for room */
    uint32_t fields;   /* of enum message_set_field, and their values as in message_set */
    uint32_t memory_milli_percent;
    uint64_t memory_bytes;
    uint32_t cap_milli_percent, weight, priority, reserved;
};

struct message_created {
    struct message_header header;
    int32_t status;    /* 0, or a negative errno */
    uint32_t gpu_mask; /* bits of NVML indices */
    uint32_t engine;   /* enum region_engine */
    uint32_t reserved;
    char name[64];
    char control_path[112]; /* what its processes are to have as VGPU_CONTROL */
    char visible[16 * 48];  /* CUDA_VISIBLE_DEVICES; empty: all */
    char text[240];         /* what was wrong, or (status 0) what the person is to know */
};

/* Fills a header; `length` is the struct's size. */
void message_init(void *message, enum message_type type, size_t length);

/*
 * The type of what was received, or -EPROTO where magic, version, type or length are not those of a
 * message. Strings in it are NUL-terminated afterwards (message_check() sees to that).
 */
int message_check(void *message, size_t length) MUST_CHECK;
