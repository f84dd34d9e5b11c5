#pragma once
/*
 * gpus - the GPUs of this machine. Identity and size come from the resource manager (about a
 * millisecond, so that a tenant starts at once); names and measurements from NVML, which takes tens
 * of milliseconds to start and is loaded where first asked for.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdint.h>
#include <sys/types.h>

#define GPUS_MAX 16

struct gpus_card {
    char uuid[48];
    char pci_bus_id[32];                          /* "00000000:1B:00.0" */
    uint32_t nvml_index;                          /* position in PCI order, which is NVML's */
    uint32_t minor;                               /* /dev/nvidiaN */
    uint32_t gpu_id;                              /* the RM's */
    uint32_t device_instance, subdevice_instance; /* the RM's */
    uint64_t memory_bytes;                        /* of the card, as nvidia-smi shows it */
};

struct gpus; /* one per process; not thread-safe: one thread uses it */

/* -ENODEV with words where there is no driver or no GPU. */
int gpus_open(struct gpus **ret_gpus, struct err *err) MUST_CHECK;
void gpus_close(struct gpus *gpus);

uint32_t gpus_count(const struct gpus *gpus); /* that answer */
uint32_t gpus_silent_count(const struct gpus *gpus);
const struct gpus_card *gpus_card(const struct gpus *gpus, uint32_t position);
const char *gpus_driver_version(const struct gpus *gpus); /* "" where not known */

/* Loads NVML now; -ENOTSUP with words where there is none. What follows does so by itself. */
int gpus_load_nvml(struct gpus *gpus, struct err *err) MUST_CHECK;

/* "NVIDIA H100 80GB HBM3"; "GPU" where NVML does not tell. Borrowed. */
const char *gpus_name(struct gpus *gpus, uint32_t position);

/* What NVML attributes to a process on a card, in bytes; -ENOENT where it names none. */
int gpus_process_memory(struct gpus *gpus, uint32_t position, pid_t pid,
                        uint64_t *ret_bytes) MUST_CHECK;

/*
 * The newest utilisation sample of the card: whole percents, about every 200 ms; `ret_stamp`
 * differs for each sample. -ENOTSUP where NVML has none. Takes about 1.4 ms: not for a timing
 * thread.
 */
int gpus_utilisation(struct gpus *gpus, uint32_t position, uint32_t *ret_percent,
                     uint64_t *ret_stamp) MUST_CHECK;
