#include "hypervisor/inventory.h"

#include "hypervisor/hardware.h"
#include "supervisor/telemetry.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOT_THERE     UINT32_MAX
#define REOPEN_MAX_NS (60 * NS_PER_SEC)

struct inventory {
    struct telemetry *telemetry; /* NULL: closed */
    uint64_t retry_ns, open_ns;  /* open_ns: not before this instant */
    uint64_t wait_ns;            /* what reopening for a lost card waits next */
    bool is_missing;             /* that there is no NVML was said */
    bool is_incomplete;          /* a card of this NVML has no handle */
    uint32_t count;
    struct {
        char uuid[48], model[64];
        uint32_t index; /* NVML's, NOT_THERE: this NVML has it not */
        bool is_lost;
    } cards[REGION_GPUS_MAX];
};

int inventory_new(struct inventory **ret_inventory, uint64_t retry_ns, struct err *err)
{
    struct inventory *inventory = calloc(1, sizeof(*inventory));

    if (!inventory)
        return err_set(err, ENOMEM, "allocate the list of cards");
    inventory->retry_ns = retry_ns;
    inventory->wait_ns = retry_ns;
    *ret_inventory = inventory;
    return 0;
}

void inventory_free(struct inventory *inventory)
{
    if (!inventory)
        return;
    telemetry_close(inventory->telemetry);
    free(inventory);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* The place of a card, which it keeps; the number of places where there is none left. */
static uint32_t find_place(struct inventory *inventory, const char *uuid)
{
    uint32_t place;

    for (place = 0; place < inventory->count; place++)
        if (str_equals(inventory->cards[place].uuid, uuid))
            return place;
    if (place < REGION_GPUS_MAX) {
        (void)str_format(inventory->cards[place].uuid, sizeof(inventory->cards[place].uuid), "%s",
                         uuid); /* fits: telemetry_uuid() saw to that */
        inventory->count++;
    }
    return place;
}

static void find_cards(struct inventory *inventory)
{
    inventory->is_incomplete = false;
    for (uint32_t i = 0; i < inventory->count; i++)
        inventory->cards[i].index = NOT_THERE;
    for (uint32_t i = 0; i < telemetry_count(inventory->telemetry); i++) {
        char uuid[sizeof(inventory->cards[0].uuid)];
        uint32_t place;

        if (!telemetry_uuid(inventory->telemetry, i, uuid, sizeof(uuid))) {
            inventory->is_incomplete = true;
            continue;
        }
        place = find_place(inventory, uuid);
        if (place == REGION_GPUS_MAX)
            continue;
        inventory->cards[place].index = i;
        (void)str_format(inventory->cards[place].model, sizeof(inventory->cards[place].model), "%s",
                         telemetry_name(inventory->telemetry, i)); /* for people */
    }
}

static void open_nvml(struct inventory *inventory, uint64_t now_ns)
{
    struct err err;

    if (telemetry_open(&inventory->telemetry, &err) < 0) {
        inventory->telemetry = NULL;
        inventory->open_ns = now_ns + inventory->retry_ns;
        if (!inventory->is_missing)
            log_warn("no NVML (%s): what the GPUs measure is not known until it is there",
                     err.text);
        inventory->is_missing = true;
        return;
    }
    if (inventory->is_missing)
        log_info("NVML is there now");
    inventory->is_missing = false;
    find_cards(inventory);
}

static void close_nvml(struct inventory *inventory)
{
    telemetry_close(inventory->telemetry);
    inventory->telemetry = NULL;
}

static bool is_complete(const struct inventory *inventory)
{
    for (uint32_t i = 0; i < inventory->count; i++)
        if (inventory->cards[i].is_lost)
            return false;
    return !inventory->is_incomplete;
}

/* For a card that does not answer: another NVML may find it. */
static void reopen_if_due(struct inventory *inventory, uint64_t now_ns)
{
    if (!inventory->telemetry || now_ns < inventory->open_ns || is_complete(inventory))
        return;
    close_nvml(inventory);
    inventory->wait_ns *= 2;
    if (inventory->wait_ns > REOPEN_MAX_NS)
        inventory->wait_ns = REOPEN_MAX_NS;
    inventory->open_ns = now_ns;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void set_lost(struct inventory *inventory, uint32_t place, bool is_lost)
{
    if (is_lost && !inventory->cards[place].is_lost)
        log_warn("GPU '%s' is lost: nothing is known of it until it answers again",
                 inventory->cards[place].uuid);
    if (!is_lost && inventory->cards[place].is_lost)
        log_info("GPU '%s' answers again", inventory->cards[place].uuid);
    inventory->cards[place].is_lost = is_lost;
}

static void read_processes(struct inventory *inventory, uint32_t index, struct hardware_gpu *gpu)
{
    size_t count = 0;

    gpu->has_processes = telemetry_processes(inventory->telemetry, index, gpu->processes,
                                             HARDWARE_PROCESSES_MAX, &count) == 0;
    gpu->process_count = gpu->has_processes ? (uint32_t)count : 0;
}

/* -ESTALE: NVML is of no use any more. */
static int read_card(struct inventory *inventory, uint32_t place, struct hardware_gpu *gpu)
{
    uint32_t index = inventory->cards[place].index;
    int rc;

    /* A card that is not in a list of NVML's in which others are was there once. */
    rc =
        index == NOT_THERE ? -ENODEV : telemetry_read_card(inventory->telemetry, index, &gpu->card);
    if (rc == -ESTALE)
        return rc;
    set_lost(inventory, place, rc == -ENODEV);
    /* What this NVML knew of it is void: one that was reset answers to a new one only. */
    if (rc == -ENODEV)
        inventory->cards[place].index = NOT_THERE;
    if (rc == 0)
        read_processes(inventory, index, gpu);
    return 0;
}

static void begin_gpu(const struct inventory *inventory, uint32_t place, struct hardware_gpu *gpu)
{
    (void)str_format(gpu->uuid, sizeof(gpu->uuid), "%s", inventory->cards[place].uuid); /* fits */
    (void)str_format(gpu->model, sizeof(gpu->model), "%s", inventory->cards[place].model);
    if (inventory->cards[place].index != NOT_THERE)
        gpu->nvml_index = inventory->cards[place].index;
    memset(&gpu->card, 0xff, sizeof(gpu->card)); /* TELEMETRY_UNKNOWN */
    gpu->has_processes = false;
    gpu->process_count = 0;
}

static int read_cards(struct inventory *inventory, struct hardware_reading *reading)
{
    int rc = 0;

    reading->gpu_count = inventory->count;
    for (uint32_t i = 0; i < inventory->count; i++) {
        begin_gpu(inventory, i, &reading->gpus[i]);
        if (rc == 0 && inventory->telemetry)
            rc = read_card(inventory, i, &reading->gpus[i]);
        reading->gpus[i].is_lost = inventory->cards[i].is_lost;
    }
    return rc;
}

void inventory_look(struct inventory *inventory, uint64_t now_ns, struct hardware_reading *reading)
{
    bool was_complete;

    reopen_if_due(inventory, now_ns);
    if (!inventory->telemetry && now_ns >= inventory->open_ns)
        open_nvml(inventory, now_ns);
    was_complete = is_complete(inventory);
    reading->has_nvml = inventory->telemetry != NULL;
    (void)str_format(reading->driver_version, sizeof(reading->driver_version), "%s",
                     telemetry_driver_version(inventory->telemetry)); /* for people */
    if (read_cards(inventory, reading) < 0) {
        close_nvml(inventory);
        reading->has_nvml = false;
    }
    if (is_complete(inventory))
        inventory->wait_ns = inventory->retry_ns;
    else if (was_complete || now_ns >= inventory->open_ns)
        inventory->open_ns = now_ns + inventory->wait_ns;
}
