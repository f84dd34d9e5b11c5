#include "supervisor/switch_log.h"

#include "rm/control.h"
#include "supervisor/gpus.h"
#include "utils/atomics.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RECORD_COUNT    8192u
#define HEADER_BYTES    4096u
#define RECORDS_BYTES   (RECORD_COUNT * (uint32_t)sizeof(struct rm_switch_record))
#define MAP_READ_ONLY   1u
#define KEEP_NEWEST     2u
#define LEVEL_OF_DETAIL 1u

static int say_failure(struct err *err, const char *what, int rc, uint32_t status)
{
    if (rc == -EREMOTEIO)
        return err_say(err, EREMOTEIO, "%s: the resource manager says 0x%x", what, status);
    return err_set(err, -rc, "%s", what);
}

static int open_nodes(struct switch_log *log, uint32_t minor, struct err *err)
{
    char path[32];
    int argument;

    log->control_fd = open("/dev/nvidiactl", O_RDWR | O_CLOEXEC);
    if (log->control_fd < 0)
        return err_set(err, errno, "open '/dev/nvidiactl'");
    (void)str_format(path, sizeof(path), "/dev/nvidia%u", minor); /* cannot be cut */
    log->device_fd = open(path, O_RDWR | O_CLOEXEC);
    if (log->device_fd < 0)
        return err_set(err, errno, "open '%s'", path);
    argument = log->control_fd;
    if (ioctl(log->device_fd, RM_REQUEST(RM_NR_REGISTER_FD, sizeof(argument)), &argument) < 0)
        return err_set(err, errno, "register the control file with '%s'", path);
    return 0;
}

static struct control_at at(const struct switch_log *log, uint32_t object)
{
    return (struct control_at){log->control_fd, log->client, object};
}

static int allocate(const struct control_at *parent, struct control_object object,
                    uint32_t *ret_handle, struct err *err)
{
    uint32_t status = RM_OK;
    int rc = control_alloc(parent, &object, &status);
    char what[48];

    if (!rc) {
        *ret_handle = object.handle;
        return 0;
    }
    (void)str_format(what, sizeof(what), "allocate an object of class 0x%x", object.class);
    return say_failure(err, what, rc, status);
}

static int allocate_client(struct switch_log *log, const struct gpus_card *card, struct err *err)
{
    uint8_t device_params[RM_DEVICE_PARAMS_SIZE] = {0};
    uint32_t subdevice_instance = card->subdevice_instance;
    struct control_object client = {.class = RM_CLASS_ROOT_CLIENT};
    struct control_object device = {0, RM_CLASS_DEVICE, device_params, sizeof(device_params)};
    struct control_object subdevice = {0, RM_CLASS_SUBDEVICE, &subdevice_instance,
                                       sizeof(subdevice_instance)};
    struct control_at parent = at(log, 0);
    int rc;

    rc = allocate(&parent, client, &log->client, err);
    if (rc < 0)
        return rc;
    memcpy(device_params, &card->device_instance, sizeof(card->device_instance));
    parent = at(log, log->client);
    rc = allocate(&parent, device, &log->device, err);
    if (rc < 0)
        return rc;
    parent = at(log, log->device);
    return allocate(&parent, subdevice, &log->subdevice, err);
}

/*
 * Memory that the driver writes and we read; not read-only, the buffer is refused to user clients.
 */
static int allocate_memory(struct switch_log *log, uint32_t *object, uint64_t bytes,
                           struct err *err)
{
    uint8_t params[RM_MEMORY_PARAMS_SIZE] = {0};
    const uint32_t attributes = RM_MEMORY_ATTRIBUTE_CACHED;
    const uint32_t attributes2 = RM_MEMORY_ATTRIBUTE2_USER_READ_ONLY;
    struct control_object memory = {0, RM_CLASS_USER_MEMORY, params, sizeof(params)};
    struct control_at client = at(log, log->client);

    memcpy(params + RM_MEMORY_PARAMS_ATTRIBUTES, &attributes, sizeof(attributes));
    memcpy(params + RM_MEMORY_PARAMS_ATTRIBUTES2, &attributes2, sizeof(attributes2));
    memcpy(params + RM_MEMORY_PARAMS_BYTES, &bytes, sizeof(bytes));
    return allocate(&client, memory, object, err);
}

static int allocate_buffer(struct switch_log *log, struct err *err)
{
    struct rm_event_buffer_params params = {
        .record_size = sizeof(struct rm_switch_record),
        .record_count = RECORD_COUNT,
        .subdevice = log->subdevice,
    };
    struct control_object buffer = {0, RM_CLASS_EVENT_BUFFER, &params, sizeof(params)};
    struct control_at client = at(log, log->client);
    int rc;

    rc = allocate_memory(log, &log->header_memory, HEADER_BYTES, err);
    if (rc < 0)
        return rc;
    rc = allocate_memory(log, &log->record_memory, RECORDS_BYTES, err);
    if (rc < 0)
        return rc;
    params.header_memory = log->header_memory;
    params.record_memory = log->record_memory;
    return allocate(&client, buffer, &log->buffer, err);
}

/* One mapping needs one fresh descriptor; it may be closed once mapped. */
static int map_memory(struct switch_log *log, uint32_t object, uint32_t bytes, void **ret_memory,
                      struct err *err)
{
    CLEANUP_CLOSE int fd = open("/dev/nvidiactl", O_RDWR | O_CLOEXEC);
    struct rm_map_memory map = {
        .client = log->client,
        .device = log->client, /* the client's handle: this memory belongs to no device */
        .memory = object,
        .length = bytes,
        .flags = MAP_READ_ONLY,
        .fd = fd,
    };
    void *memory;

    if (fd < 0)
        return err_set(err, errno, "open '/dev/nvidiactl'");
    if (ioctl(log->control_fd, RM_REQUEST(RM_NR_MAP_MEMORY, sizeof(map)), &map) < 0)
        return err_set(err, errno, "map the record buffer");
    if (map.status)
        return say_failure(err, "map the record buffer", -EREMOTEIO, map.status);
    memory = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return err_set(err, errno, "map the record buffer");
    *ret_memory = memory;
    return 0;
}

static int map_buffer(struct switch_log *log, struct err *err)
{
    void *memory = NULL;
    int rc;

    rc = map_memory(log, log->header_memory, HEADER_BYTES, &memory, err);
    if (rc < 0)
        return rc;
    log->header = memory;
    rc = map_memory(log, log->record_memory, RECORDS_BYTES, &memory, err);
    if (rc < 0)
        return rc;
    log->records = memory;
    return 0;
}

static int start_records(struct switch_log *log, struct err *err)
{
    struct rm_bind_switch_events bind = {
        .event_buffer = log->buffer,
        .record_size = sizeof(bind),
        .level_of_detail = LEVEL_OF_DETAIL,
        .is_all_users = 1,
    };
    struct rm_buffer_enable enable = {.is_enabled = 1, .flags = KEEP_NEWEST};
    struct control_at subdevice = at(log, log->subdevice), buffer = at(log, log->buffer);
    uint32_t status = RM_OK;
    int rc;

    rc = control_call(&subdevice, RM_CONTROL_BIND_SWITCH_EVENTS, &bind, sizeof(bind), &status);
    if (rc < 0)
        return say_failure(err, "bind the switch records", rc, status);
    rc = control_call(&buffer, RM_CONTROL_BUFFER_ENABLE, &enable, sizeof(enable), &status);
    if (rc < 0)
        return say_failure(err, "enable the switch records", rc, status);
    return 0;
}

int switch_log_open(struct switch_log *log, const struct gpus_card *card, struct err *err)
{
    int rc;

    *log = (struct switch_log){.control_fd = -1, .device_fd = -1};
    rc = open_nodes(log, card->minor, err);
    if (!rc)
        rc = allocate_client(log, card, err);
    if (!rc)
        rc = allocate_buffer(log, err);
    if (!rc)
        rc = map_buffer(log, err);
    if (!rc)
        rc = start_records(log, err);
    if (rc < 0) {
        switch_log_close(log);
        return rc;
    }
    log->next = __atomic_load_n(&log->header->put, __ATOMIC_ACQUIRE);
    if (log->next >= RECORD_COUNT)
        log->next = 0;
    return 0;
}

void switch_log_close(struct switch_log *log)
{
    if (log->header)
        (void)munmap((void *)(uintptr_t)log->header, HEADER_BYTES);
    if (log->records)
        (void)munmap((void *)(uintptr_t)log->records, RECORDS_BYTES);
    attr_close(&log->device_fd);
    attr_close(&log->control_fd); /* ends the client and all it had */
    *log = (struct switch_log){.control_fd = -1, .device_fd = -1};
}

int switch_log_flush(struct switch_log *log)
{
    struct control_at buffer = at(log, log->buffer);

    return control_call(&buffer, RM_CONTROL_BUFFER_FLUSH, NULL, 0, NULL);
}

int switch_log_time(struct switch_log *log, uint64_t *ret_gpu_ns)
{
    struct control_at subdevice = at(log, log->subdevice);
    uint64_t time_ns = 0;
    int rc = control_call(&subdevice, RM_CONTROL_GET_TIME, &time_ns, sizeof(time_ns), NULL);

    if (!rc)
        *ret_gpu_ns = time_ns;
    return rc;
}

bool switch_log_next(struct switch_log *log, struct rm_switch_record *ret_record)
{
    /* Pairs with the driver's write of `put` after the records. */
    uint32_t put = __atomic_load_n(&log->header->put, __ATOMIC_ACQUIRE);

    if (put >= RECORD_COUNT || log->next == put)
        return false;
    *ret_record = log->records[log->next];
    log->next = (log->next + 1) % RECORD_COUNT;
    return true;
}
