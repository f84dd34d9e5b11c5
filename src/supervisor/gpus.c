#include "supervisor/gpus.h"

#include "abi/rm.h"
#include "rm/control.h"
#include "supervisor/telemetry.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct gpus {
    uint32_t count;
    uint32_t silent_count; /* cards that are there and do not answer */
    struct gpus_card cards[GPUS_MAX];
    char driver_version[80];
    struct telemetry *telemetry; /* NULL: not loaded, or none here */
    int nvml_indexes[GPUS_MAX];  /* negative: NVML does not show it */
};

/* What is open while the RM is asked. */
struct inquiry {
    int fd; /* /dev/nvidiactl */
    uint32_t client;
};

static void read_version(struct gpus *gpus, int fd)
{
    struct rm_check_version check = {.command = '2'};

    if (ioctl(fd, RM_REQUEST(RM_NR_CHECK_VERSION, sizeof(check)), &check) < 0)
        return; /* "" says that it is not known */
    check.version[sizeof(check.version) - 1] = '\0';
    (void)str_format(gpus->driver_version, sizeof(gpus->driver_version), "%s", check.version);
}

static int read_uuid(const struct inquiry *inquiry, uint32_t subdevice, struct gpus_card *card)
{
    struct rm_gid_info gid = {0};
    struct control_at at = {inquiry->fd, inquiry->client, subdevice};
    int rc = control_call(&at, RM_CONTROL_GET_GID_INFO, &gid, sizeof(gid), NULL);

    if (rc < 0)
        return rc;
    gid.text[sizeof(gid.text) - 1] = '\0';
    return str_format(card->uuid, sizeof(card->uuid), "%s", gid.text) ? 0 : -EPROTO;
}

/*
 * The list must be as long as the driver's own (128 pairs in 580 and 595), however few are asked
 * for.
 */
static int read_memory(const struct inquiry *inquiry, uint32_t subdevice, struct gpus_card *card)
{
    struct {
        uint32_t count;
        struct rm_fb_info infos[128];
    } list = {.count = 1, .infos = {{.index = RM_FB_TOTAL}}};
    struct control_at at = {inquiry->fd, inquiry->client, subdevice};
    int rc = control_call(&at, RM_CONTROL_FB_GET_INFO_V2, &list, sizeof(list), NULL);

    if (!rc)
        card->memory_bytes = (uint64_t)list.infos[0].kib * 1024;
    return rc;
}

static int read_subdevice(const struct inquiry *inquiry, struct gpus_card *card)
{
    uint8_t params[RM_DEVICE_PARAMS_SIZE] = {0};
    struct control_object device = {0, RM_CLASS_DEVICE, params, sizeof(params)};
    struct control_object subdevice = {0, RM_CLASS_SUBDEVICE, &card->subdevice_instance,
                                       sizeof(card->subdevice_instance)};
    struct control_at at = {inquiry->fd, inquiry->client, inquiry->client};
    int rc;

    memcpy(params, &card->device_instance, sizeof(card->device_instance));
    rc = control_alloc(&at, &device, NULL);
    at.object = device.handle;
    if (!rc)
        rc = control_alloc(&at, &subdevice, NULL);
    if (!rc)
        rc = read_uuid(inquiry, subdevice.handle, card);
    if (!rc)
        rc = read_memory(inquiry, subdevice.handle, card);
    return rc;
}

/* The RM answers about a GPU only to who holds its device node. */
static int read_card(const struct inquiry *inquiry, const struct rm_card_info *info,
                     struct gpus_card *card)
{
    struct rm_id_info id = {.gpu_id = info->gpu_id};
    struct control_at at = {inquiry->fd, inquiry->client, inquiry->client};
    CLEANUP_CLOSE int device_fd = -1;
    int argument = inquiry->fd, rc;
    char path[32];

    *card = (struct gpus_card){.minor = info->minor, .gpu_id = info->gpu_id};
    (void)str_format(card->pci_bus_id, sizeof(card->pci_bus_id), "%08X:%02X:%02X.0",
                     info->pci_domain, info->pci_bus, info->pci_slot);  /* fits */
    (void)str_format(path, sizeof(path), "/dev/nvidia%u", info->minor); /* fits */
    device_fd = open(path, O_RDWR | O_CLOEXEC);
    if (device_fd < 0)
        return -errno;
    if (ioctl(device_fd, RM_REQUEST(RM_NR_REGISTER_FD, sizeof(argument)), &argument) < 0)
        return -errno;
    rc = control_call(&at, RM_CONTROL_GET_ID_INFO_V2, &id, sizeof(id), NULL);
    if (rc < 0)
        return rc;
    card->device_instance = id.device_instance;
    card->subdevice_instance = id.subdevice_instance;
    return read_subdevice(inquiry, card);
}

static int compare_bus(const void *a, const void *b)
{
    const struct gpus_card *left = a, *right = b;

    return strcmp(left->pci_bus_id, right->pci_bus_id); /* fixed width: text order is bus order */
}

/* One whose node we may not have, as in a container, is not there for NVML either. */
static bool is_hidden(int rc)
{
    return rc == -ENOENT || rc == -EPERM || rc == -EACCES;
}

/* NVML counts all cards in the order of their bus, those too that have stopped to answer. */
static void count_cards(struct gpus *gpus, const struct gpus_card *silent)
{
    qsort(gpus->cards, gpus->count, sizeof(gpus->cards[0]), compare_bus);
    for (uint32_t i = 0; i < gpus->count; i++) {
        gpus->cards[i].nvml_index = i;
        for (uint32_t k = 0; k < gpus->silent_count; k++)
            gpus->cards[i].nvml_index += compare_bus(&silent[k], &gpus->cards[i]) < 0;
    }
}

static int read_cards(struct gpus *gpus, const struct inquiry *inquiry, struct err *err)
{
    struct rm_card_info infos[RM_CARDS_MAX];
    struct gpus_card silent[RM_CARDS_MAX], card;

    memset(infos, 0, sizeof(infos));
    if (ioctl(inquiry->fd, RM_REQUEST(RM_NR_CARD_INFO, sizeof(infos)), infos) < 0)
        return err_set(err, errno, "ask the driver for its GPUs");
    for (uint32_t i = 0; i < RM_CARDS_MAX && gpus->count < GPUS_MAX; i++) {
        int rc = infos[i].is_valid ? read_card(inquiry, &infos[i], &card) : -ENOENT;

        if (!rc)
            gpus->cards[gpus->count++] = card;
        else if (!is_hidden(rc))
            silent[gpus->silent_count++] = card;
    }
    count_cards(gpus, silent);
    return gpus->count ? 0 : err_say(err, ENODEV, "the NVIDIA driver here has no GPU that answers");
}

static int read_all(struct gpus *gpus, struct err *err)
{
    CLEANUP_CLOSE int fd = open("/dev/nvidiactl", O_RDWR | O_CLOEXEC);
    struct inquiry inquiry = {.fd = fd};
    struct control_object client = {.class = RM_CLASS_ROOT_CLIENT};
    uint32_t status = RM_OK;

    if (fd < 0)
        return err_say(err, ENODEV, "no NVIDIA driver here ('/dev/nvidiactl' does not open)");
    read_version(gpus, fd);
    if (control_alloc(&(struct control_at){.fd = fd}, &client, &status) < 0)
        return err_say(err, EIO, "the resource manager gives no client (status 0x%x)", status);
    inquiry.client = client.handle;
    return read_cards(gpus, &inquiry, err); /* closing the file frees the client */
}

int gpus_open(struct gpus **ret_gpus, struct err *err)
{
    struct gpus *gpus = calloc(1, sizeof(*gpus));
    int rc;

    if (!gpus)
        return err_set(err, ENOMEM, "allocate the list of GPUs");
    rc = read_all(gpus, err);
    if (rc < 0) {
        gpus_close(gpus);
        return rc;
    }
    *ret_gpus = gpus;
    return 0;
}

void gpus_close(struct gpus *gpus)
{
    if (!gpus)
        return;
    telemetry_close(gpus->telemetry);
    free(gpus);
}

uint32_t gpus_count(const struct gpus *gpus)
{
    return gpus->count;
}

uint32_t gpus_silent_count(const struct gpus *gpus)
{
    return gpus->silent_count;
}

const struct gpus_card *gpus_card(const struct gpus *gpus, uint32_t position)
{
    return position < gpus->count ? &gpus->cards[position] : NULL;
}

const char *gpus_driver_version(const struct gpus *gpus)
{
    return gpus->driver_version;
}

int gpus_load_nvml(struct gpus *gpus, struct err *err)
{
    int rc;

    if (gpus->telemetry)
        return 0;
    rc = telemetry_open(&gpus->telemetry, err); /* tried anew each time: it may come later */
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < gpus->count; i++)
        gpus->nvml_indexes[i] = telemetry_find(gpus->telemetry, gpus->cards[i].uuid);
    return 0;
}

/* NVML's index of a card, or a negative errno. */
static int nvml_index(struct gpus *gpus, uint32_t position)
{
    int rc = position < gpus->count ? gpus_load_nvml(gpus, NULL) : -ENOTSUP;

    return rc < 0 ? rc : gpus->nvml_indexes[position];
}

const char *gpus_name(struct gpus *gpus, uint32_t position)
{
    int index = nvml_index(gpus, position);

    return index < 0 ? "GPU" : telemetry_name(gpus->telemetry, (uint32_t)index);
}

int gpus_process_memory(struct gpus *gpus, uint32_t position, pid_t pid, uint64_t *ret_bytes)
{
    int index = nvml_index(gpus, position);

    return index < 0 ? index
                     : telemetry_process_memory(gpus->telemetry, (uint32_t)index, pid, ret_bytes);
}

int gpus_utilisation(struct gpus *gpus, uint32_t position, uint32_t *ret_percent,
                     uint64_t *ret_stamp)
{
    int index = nvml_index(gpus, position);

    return index < 0
               ? index
               : telemetry_utilisation(gpus->telemetry, (uint32_t)index, ret_percent, ret_stamp);
}
