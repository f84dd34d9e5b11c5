#pragma once
/*
 * wire - what a process on the simulated machine says to the simulator's server, and how it is
 * answered.
 *
 * Connections. The server listens on the SOCK_SEQPACKET unix socket named by VGPU_SIM_SOCKET.
 * Whoever wants something connects, sends one request as one message, and receives one reply as one
 * message, at most WIRE_MESSAGE_MAX bytes each way; then the next. A connection carries one request
 * at a time, but a process may have as many as it likes (keep a pool: take a free one or open
 * another), and requests on different connections do not wait for each other. Replies come when the
 * hardware would have answered (a disable after 450-660 us), so receive blocking, without a
 * timeout. Who a process is (pid, uid) is what SO_PEERCRED said when it connected: a forked child
 * must not use its parent's connections but open its own. Connections are O_CLOEXEC; the server
 * ends when the command it started and every connected process have ended. End of file on a
 * connection: the machine is gone (answer ENODEV). If a program closed the connection's descriptor
 * behind our back (EBADF, ENOTSOCK, ENOTCONN or a changed inode), connect again and repeat.
 *
 * Open files. What open("/dev/nvidia...") returns is one end of a socket pair made by the server,
 * sent with the reply; the server holds the other end and so sees the last close of all duplicates,
 * in any process, and only then frees the RM clients made on it. It carries no requests, only
 * doorbells (see sim/queue.h). A request names the open file by the inode number of that end
 * (fstat: st_ino): a process that got a duplicate from anybody can use it like its own. A
 * descriptor is worth asking about if S_ISSOCK; the server answers WIRE_NOT_OURS for one it does
 * not know: do the real call then.
 *
 * A message is the struct, and behind it without gaps the blobs whose sizes it gives, in order. The
 * server answers garbage with EINVAL or hangs up; it never dies of it.
 */
#include <stdint.h>

#define WIRE_SOCKET_VARIABLE "VGPU_SIM_SOCKET"
#define WIRE_MAGIC           0x4D495356u /* "VSIM" */
#define WIRE_MESSAGE_MAX     65536

/* error of a reply: no such open file here, it is the system's own; make the real call. */
#define WIRE_NOT_OURS 0x10000

enum wire_kind {
    /*
     * Opens a device node: `node`, and for WIRE_NODE_GPU `index` is the minor. The reply carries
     * the descriptor (O_CLOEXEC as received; clear it unless the caller said so). error ENODEV or
     * EIO: what open() fails with.
     */
    WIRE_OPEN = 1,
    /*
     * An ioctl on the open file `file`; `request` is ioctl's second argument as given (nr and size
     * are taken from it; for RM_NR_TRANSFER the preload unwraps: it sends _IOC of the inner nr and
     * size). Blobs: the struct (args_bytes); what its params pointer points to (params_bytes; none
     * for a NULL pointer); what a pointer inside params points to (nested_bytes). The reply has the
     * same three blobs, of the same sizes, to be copied back where they came from, and `error`: 0,
     * or errno with ioctl returning -1. The args come back with the caller's own pointers
     * untouched.
     *
     * Which calls have params: RM_NR_ALLOC (pointer and size of either form) and RM_NR_CONTROL. An
     * alloc with a pointer and size 0 means the class's own size: wire_params_bytes(class).
     * Nested: only RM_CONTROL_FB_GET_INFO: u32 count at 0, pointer at 8, to count pairs of 8 bytes.
     * Where the args hold a descriptor number (RM_NR_MAP_MEMORY at 48, RM_NR_ALLOC_MEMORY at 48,
     * RM_NR_REGISTER_FD at 0, -1 for none) `other_file` is that descriptor's inode, 0 for none.
     * An unreadable pointer is EFAULT without asking. On /dev/nvidia-uvm every request is answered
     * with 0 and its args, which may be empty, untouched.
     */
    WIRE_IOCTL = 2,
    /*
     * mmap of the open file `file` that RM_NR_MAP_MEMORY named: `offset` and `length` as given to
     * mmap; `is_writable` PROT_WRITE was asked. The reply carries a memfd and in `value` the offset
     * in it to map MAP_SHARED, with the protection asked for. error EINVAL, EACCES.
     */
    WIRE_MMAP = 3,
    /*
     * Brings all shared memory (queues, progress counters) up to this instant: afterwards a counter
     * read is not older than the request. `value`: GPU `index`'s clock in ns. A doorbell does the
     * same without an answer. Returns within microseconds.
     */
    WIRE_SYNC = 4,
    /* The questions of NVML: `query` of enum wire_query about GPU `index`; reply: `count` rows. */
    WIRE_QUERY = 5,
    /* Sets a fault: args blob is the text NAME[=VALUE]. error EINVAL for an unknown one. */
    WIRE_FAULT = 6,
};

enum wire_node { WIRE_NODE_CONTROL, WIRE_NODE_GPU, WIRE_NODE_UVM };

struct wire_request {
    uint32_t magic;
    uint32_t kind;    /* enum wire_kind */
    uint64_t sent_ns; /* CLOCK_MONOTONIC just before sending: when the caller entered the kernel */
    uint64_t file;    /* inode of the open file */
    uint64_t other_file;  /* inode, 0 for none */
    uint32_t node, index; /* node of WIRE_OPEN; index of the GPU, its minor */
    uint32_t request;     /* of WIRE_IOCTL */
    uint32_t query;       /* enum wire_query */
    uint32_t args_bytes, params_bytes, nested_bytes;
    uint32_t is_writable;
    uint64_t offset, length;
    uint64_t since_us; /* of WIRE_QUERY: rows newer than this, Unix time in us */
};

struct wire_reply {
    uint32_t magic;
    uint32_t error; /* 0, an errno, or WIRE_NOT_OURS */
    uint64_t value;
    uint32_t count; /* rows of a query */
    uint32_t args_bytes, params_bytes, nested_bytes;
};

/* Rows follow the reply's struct; args_bytes is their size in all. */
enum wire_query {
    WIRE_QUERY_GPUS =
        1, /* one struct wire_gpu for each GPU that can be seen, `index` is not looked at */
    WIRE_QUERY_PROCESSES, /* struct wire_process: those that hold memory or channels on the GPU */
    WIRE_QUERY_SAMPLES,   /* struct wire_sample: GPU utilisation, one each 200 ms, oldest first */
    WIRE_QUERY_UTILISATIONS, /* struct wire_sample per pid over the last second or so */
    WIRE_QUERY_NVML_GPUS,    /* as WIRE_QUERY_GPUS, of NVML, which may be said not to start */
};

struct wire_gpu {
    uint32_t index, minor, gpu_id;
    uint32_t is_lost; /* calls about it answer NVML_ERROR_GPU_IS_LOST */
    uint64_t memory_bytes, memory_reserved_bytes, memory_used_bytes; /* used: without reserved */
    uint32_t pci_domain, pci_bus, pci_device;
    uint32_t pci_device_id, pci_subsystem_id;
    uint32_t utilisation_percent; /* the newest sample */
    uint32_t multiprocessors, compute_major, compute_minor;
    char name[96];
    char uuid[48];   /* "GPU-..." */
    char bus_id[32]; /* "00000000:1B:00.0" */
    char driver_version[32];
    uint8_t uuid_bytes[16]; /* the same uuid, for cuDeviceGetUuid */
};

struct wire_process {
    uint32_t pid, is_compute; /* is_compute: has a channel group */
    uint64_t memory_bytes;    /* video memory, counted as NVML does */
};

struct wire_sample {
    uint64_t time_us; /* Unix time */
    uint32_t
        percent;  /* whole percents of busy time in the 200 ms (a pid's: the last second) before */
    uint32_t pid; /* 0 for the whole GPU */
};

/* The params size of a class where the caller passed a pointer and size 0; 0: unknown. */
static inline uint32_t wire_params_bytes(uint32_t class)
{
    switch (class) {
    case 0x0040: /* video memory */
    case 0x003E: /* system memory */
    case 0x90CE: /* user memory */
        return 128;
    case 0x0080: /* device */
        return 56;
    case 0x2080: /* subdevice */
        return 4;
    case 0xA06C: /* channel group */
        return 20;
    case 0x90CD: /* event buffer */
        return 72;
    default:
        return 0;
    }
}

_Static_assert(sizeof(struct wire_request) == 88, "both sides are built from this header");
_Static_assert(sizeof(struct wire_reply) == 32, "both sides are built from this header");
