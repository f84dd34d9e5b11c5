#pragma once
/*
 * rm - the interface of NVIDIA's resource manager (RM) as far as this project reads or calls it, in
 * our own words. Source of the facts: NVIDIA's open kernel module headers, 595.45.04 (MIT licence),
 * and driver 580.159.04 as seen on an H100. A call is ioctl(fd, _IOWR('F', nr, struct), &struct);
 * the kernel looks at nr and size alone, and so do we.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define RM_IOCTL_TYPE        'F'
#define RM_REQUEST(nr, size) _IOC(_IOC_READ | _IOC_WRITE, RM_IOCTL_TYPE, (nr), (size))

/* --- numbers of calls ------------------------------------------------------------------------ */
#define RM_NR_ALLOC_MEMORY  0x27 /* on /dev/nvidiaN */
#define RM_NR_FREE          0x29
#define RM_NR_CONTROL       0x2A
#define RM_NR_ALLOC         0x2B
#define RM_NR_DUP_OBJECT    0x34
#define RM_NR_HEAP_CONTROL  0x4A
#define RM_NR_MAP_MEMORY    0x4E
#define RM_NR_CARD_INFO     200
#define RM_NR_REGISTER_FD   201
#define RM_NR_CHECK_VERSION 210
#define RM_NR_TRANSFER      211

/* --- status words ---------------------------------------------------------------------------- */
#define RM_OK                       0x00u
#define RM_GPU_LOST                 0x0Fu
#define RM_INSUFFICIENT_PERMISSIONS 0x1Bu
#define RM_INVALID_ARGUMENT         0x1Fu
#define RM_INVALID_CLIENT           0x23u
#define RM_NO_MEMORY                0x51u
#define RM_NOT_SUPPORTED            0x56u
#define RM_OBJECT_NOT_FOUND         0x57u

/* --- classes --------------------------------------------------------------------------------- */
#define RM_CLASS_ROOT              0x0000u
#define RM_CLASS_ROOT_NON_PRIV     0x0001u
#define RM_CLASS_ROOT_CLIENT       0x0041u
#define RM_CLASS_DEVICE            0x0080u
#define RM_CLASS_SUBDEVICE         0x2080u
#define RM_CLASS_SYSTEM_MEMORY     0x003Eu
#define RM_CLASS_VIDEO_MEMORY      0x0040u
#define RM_CLASS_CHANNEL_GROUP     0xA06Cu
#define RM_CLASS_EVENT_BUFFER      0x90CDu
#define RM_CLASS_USER_MEMORY       0x90CEu
#define RM_CLASS_IS_CHANNEL(class) (((class) & 0xFFu) == 0x6Fu)
#define RM_CLASS_CHANNEL_HOPPER    0xC86Fu

/* --- arguments of calls ---------------------------------------------------------------------- */
struct rm_alloc_48 {
    uint32_t client, parent, object, class;
    uint64_t params, rights;
    uint32_t params_size, flags, status, reserved;
};

struct rm_alloc_32 {
    uint32_t client, parent, object, class;
    uint64_t params;
    uint32_t params_size, status;
};

struct rm_free {
    uint32_t client, parent, object, status;
};

struct rm_control {
    uint32_t client, object, command, flags;
    uint64_t params;
    uint32_t params_size, status;
};

struct rm_dup_object {
    uint32_t client, parent, object, source_client, source_object, flags, status;
};

/* RM_NR_ALLOC_MEMORY, with the descriptor that the kernel's escape adds. */
struct rm_alloc_memory {
    uint32_t client, parent, object, class, flags, reserved0;
    uint64_t address;
    uint64_t limit; /* = size - 1 */
    uint32_t status, reserved1;
    int32_t fd;
    uint32_t reserved2;
};

struct rm_transfer {
    uint32_t nr, size;
    uint64_t argument;
};

/* RM_NR_MAP_MEMORY (reference gpu-time.md, step 11). */
struct rm_map_memory {
    uint32_t client, device, memory, reserved0;
    uint64_t offset, length, address;
    uint32_t status, flags;
    int32_t fd;
    uint32_t reserved1;
};

#define RM_HEAP_CONTROL_SIZE       184
#define RM_HEAP_CONTROL_FUNCTION   8 /* u32 at this offset */
#define RM_HEAP_CONTROL_STATUS     20
#define RM_HEAP_CONTROL_HANDLE     44
#define RM_HEAP_CONTROL_ATTRIBUTES 56
#define RM_HEAP_CONTROL_BYTES      88
#define RM_HEAP_CONTROL_ALLOC_SIZE 2 /* the function that allocates */
#define RM_HEAP_CONTROL_FREE       3
#define RM_HEAP_CONTROL_FLAGS      52
#define RM_HEAP_FLAG_VIRTUAL       0x80000u /* addresses alone, no memory */

/* RM_NR_CARD_INFO: RM_CARDS_MAX of these. */
#define RM_CARDS_MAX 32
struct rm_card_info {
    uint8_t is_valid, reserved0[3];
    uint32_t pci_domain;
    uint8_t pci_bus, pci_slot, pci_function, reserved1;
    uint16_t pci_vendor, pci_device;
    uint32_t gpu_id;
    uint16_t interrupt_line, reserved2;
    uint64_t register_address, register_size, frame_buffer_address, frame_buffer_size;
    uint32_t minor;
    uint8_t name[10], reserved3[2];
};

/*
 * RM_NR_CHECK_VERSION: asking for the loaded module's version (command '2') always has an answer.
 */
struct rm_check_version {
    uint32_t command, reply;
    char version[64];
};

/* --- parameters of allocations --------------------------------------------------------------- */
#define RM_DEVICE_PARAMS_SIZE          56 /* u32 device instance at 0 */
#define RM_SUBDEVICE_PARAMS_SIZE       4  /* u32 subdevice instance */
#define RM_GROUP_PARAMS_ENGINE         12 /* u32 engine type */
#define RM_GROUP_PARAMS_SIZE           20
#define RM_CHANNEL_PARAMS_ENGINE       128 /* u32 engine type, of a channel without a group */
#define RM_ENGINE_GRAPHICS             1
#define RM_ENGINE_GRAPHICS_LAST        8 /* 2 to 8: the same under MIG */
#define RM_MEMORY_PARAMS_SIZE          128
#define RM_MEMORY_PARAMS_ATTRIBUTES    24
#define RM_MEMORY_PARAMS_ATTRIBUTES2   28
#define RM_MEMORY_PARAMS_BYTES         64
#define RM_MEMORY_LOCATION(attributes) (((attributes) >> 25) & 3u)
#define RM_MEMORY_LOCATION_VIDEO       0u
#define RM_MEMORY_LOCATION_ANY         3u /* the driver chooses, and writes back what it chose */
#define RM_MEMORY_PAGE_SIZE(attributes)                                                            \
    (((attributes) >> 23) & 3u) /* 0 default 1 4 KiB 2 big 3 huge */
#define RM_MEMORY_ATTRIBUTE_CACHED          (1u << 29)
#define RM_MEMORY_ATTRIBUTE2_USER_READ_ONLY (1u << 22)

struct rm_event_buffer_params {            /* 72 bytes */
    uint64_t buffer_header, record_buffer; /* out, kernel clients */
    uint32_t record_size, record_count;
    uint64_t vardata_buffer;
    uint32_t vardata_size, record_threshold;
    uint64_t notification_handle; /* keep 0: an unregistered descriptor is not checked for */
    uint32_t vardata_threshold, subdevice;
    uint32_t flags, header_memory, record_memory, vardata_memory;
};

/* --- controls -------------------------------------------------------------------------------- */
#define RM_CONTROL_GET_PROBED_IDS     0x00000214u /* client; 3 x 32 u32, GPU ids first, ~0 = none */
#define RM_CONTROL_GET_ID_INFO_V2     0x00000205u /* client; struct rm_id_info */
#define RM_CONTROL_SET_TIMESLICE      0xA06C0103u /* group; u64 microseconds */
#define RM_CONTROL_GET_TIMESLICE      0xA06C0104u
#define RM_CONTROL_DISABLE_CHANNELS   0x2080110Bu /* subdevice; struct rm_disable_channels */
#define RM_CONTROL_FB_GET_INFO        0x20801301u /* subdevice; u32 count, u64 pointer to pairs */
#define RM_CONTROL_FB_GET_INFO_V2     0x20801303u /* subdevice; u32 count, then pairs */
#define RM_CONTROL_GET_TIME           0x20800403u /* subdevice; u64 ns of the GPU's clock */
#define RM_CONTROL_GET_GID_INFO       0x2080014Au /* subdevice; struct rm_gid_info */
#define RM_CONTROL_BIND_SWITCH_EVENTS 0x20801238u /* subdevice; struct rm_bind_switch_events */
#define RM_CONTROL_BUFFER_ENABLE      0x90CD0101u /* event buffer; struct rm_buffer_enable */
#define RM_CONTROL_BUFFER_UPDATE_GET  0x90CD0102u
#define RM_CONTROL_BUFFER_FLUSH       0x90CD0104u /* event buffer; no parameters */

struct rm_id_info {
    uint32_t gpu_id, flags, device_instance, subdevice_instance;
    uint32_t sli_status, board_id, gpu_instance, numa_node;
};

#define RM_DISABLE_CHANNELS_MAX 64
struct rm_disable_channels { /* 536 bytes */
    uint8_t is_disable, reserved0[3];
    uint32_t count;
    uint8_t only_scheduling, rewind, reserved1[6];
    uint64_t event; /* 0 */
    uint32_t clients[RM_DISABLE_CHANNELS_MAX];
    uint32_t channels[RM_DISABLE_CHANNELS_MAX];
};

struct rm_fb_info {
    uint32_t index, kib;
};
#define RM_FB_RAM        0x07u
#define RM_FB_TOTAL      0x08u
#define RM_FB_HEAP       0x09u
#define RM_FB_HEAP_START 0x10u /* read by cuMemGetInfo; never patched */
#define RM_FB_FREE       0x16u
#define RM_FB_USABLE     0x20u

struct rm_gid_info { /* 268 bytes; flags 0: "GPU-..." as text, NUL-terminated */
    uint32_t index, flags, length;
    char text[256];
};

struct rm_bind_switch_events { /* 24 bytes */
    uint32_t event_buffer, record_size, level_of_detail, event_filter;
    uint8_t is_all_users, reserved[3];
    uint32_t reason; /* out */
};

struct rm_buffer_enable {
    uint8_t is_enabled, reserved[3];
    uint32_t flags; /* 2 keep newest, 1 keep oldest */
};

/* The event buffer as mapped: a header, and a ring of records up to `put`. */
struct rm_buffer_header {
    uint32_t get, put;
    uint64_t record_count, dropped_count, vardata_dropped_count;
};

#define RM_RECORD_TYPE_SWITCH 2
#define RM_RECORD_START       6
#define RM_RECORD_END         7
struct rm_switch_record { /* 32 bytes */
    uint16_t type, subtype;
    uint32_t reserved0;
    uint8_t tag, vmid;
    uint16_t sequence;
    uint32_t context, pid;
    uint16_t reserved1;
    uint8_t mig_gpu_instance, mig_compute_instance;
    uint64_t time_ns; /* the GPU's clock, Unix time */
};

_Static_assert(sizeof(struct rm_alloc_48) == 48, "RM ABI");
_Static_assert(sizeof(struct rm_alloc_32) == 32, "RM ABI");
_Static_assert(sizeof(struct rm_free) == 16, "RM ABI");
_Static_assert(sizeof(struct rm_control) == 32, "RM ABI");
_Static_assert(sizeof(struct rm_dup_object) == 28, "RM ABI");
_Static_assert(sizeof(struct rm_alloc_memory) == 56, "RM ABI");
_Static_assert(sizeof(struct rm_transfer) == 16, "RM ABI");
_Static_assert(sizeof(struct rm_map_memory) == 56, "RM ABI");
_Static_assert(sizeof(struct rm_card_info) == 72, "RM ABI");
_Static_assert(sizeof(struct rm_event_buffer_params) == 72, "RM ABI");
_Static_assert(offsetof(struct rm_event_buffer_params, notification_handle) == 40, "RM ABI");
_Static_assert(offsetof(struct rm_event_buffer_params, subdevice) == 52, "RM ABI");
_Static_assert(offsetof(struct rm_event_buffer_params, record_memory) == 64, "RM ABI");
_Static_assert(offsetof(struct rm_card_info, minor) == 56, "RM ABI");
_Static_assert(offsetof(struct rm_switch_record, time_ns) == 24, "RM ABI");
_Static_assert(offsetof(struct rm_switch_record, pid) == 16, "RM ABI");
_Static_assert(sizeof(struct rm_disable_channels) == 536, "RM ABI");
_Static_assert(sizeof(struct rm_bind_switch_events) == 24, "RM ABI");
_Static_assert(sizeof(struct rm_switch_record) == 32, "RM ABI");
