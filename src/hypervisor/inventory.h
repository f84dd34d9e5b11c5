#pragma once
/*
 * inventory - which cards there are and what NVML says of them, through everything that happens to
 * a driver: it is not there yet, it goes and comes, a card is lost and returns. Cards are known by
 * UUID; their index in NVML may change when it is opened anew. No thread and no clock of its own.
 *
 *   CLOSED --look(), at most each retry_ns: NVML opens--> OPEN
 *   OPEN --NVML says that the driver went--> CLOSED, opened anew at the next look
 *   OPEN --a card is lost or does not answer--> opened anew after retry_ns, then after twice as
 *          long, ... up to a minute: opening may wake every card
 *
 * A lost card is lost for as long as this NVML is open: only a new one can have it back.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdint.h>

struct hardware_reading;
struct inventory;

int inventory_new(struct inventory **ret_inventory, uint64_t retry_ns, struct err *err) MUST_CHECK;
void inventory_free(struct inventory *inventory);

/*
 * Fills in has_nvml, driver_version and gpus of a reading. Whatever goes wrong is logged when it
 * begins and when it is over, and is unknown in the reading.
 */
void inventory_look(struct inventory *inventory, uint64_t now_ns, struct hardware_reading *reading);
