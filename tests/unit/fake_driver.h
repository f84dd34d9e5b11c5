#pragma once
/*
 * fake_driver - a driver for the mediator's tests: the caller's memory is the test's own, calls are
 * answered from here, quota and events are written down.
 */
#include "rm/mediator.h"

#include "abi/rm.h"

#define FAKE_DEVICES    4
#define FAKE_EVENTS_MAX 64
#define FAKE_CARD_KIB   (80u << 20)

struct fake_driver {
    struct mediator mediator;
    struct port port;

    /* What the driver answers. */
    uint32_t status;       /* of every call but frees */
    int error;             /* a negative errno of ioctl itself, or 0 */
    uint64_t extra_bytes;  /* granted beyond what was asked for */
    uint32_t location;     /* written back for memory that may be anywhere */
    uint32_t next_handle;  /* for callers that pass 0 */
    bool is_unreadable;    /* the caller's memory is not there */
    uint32_t calls, frees; /* that reached it */
    uint32_t freed_object; /* the last */

    uint64_t limit_bytes[FAKE_DEVICES], used_bytes[FAKE_DEVICES];
    uint64_t most_bytes[FAKE_DEVICES]; /* ever reserved */
    bool is_refused[FAKE_DEVICES];
    struct port_event events[FAKE_EVENTS_MAX];
    uint32_t event_count;
    uint32_t faults; /* releases of more than was reserved, calls with the lock held, ... */
    int lock_depth;
    uint32_t locks; /* how often it was taken */
};

void fake_driver_init(struct fake_driver *driver);
void fake_driver_fini(struct fake_driver *driver);

/* Carries a call as a process would make it; returns what ioctl would. */
int fake_driver_call(struct fake_driver *driver, uint32_t nr, uint32_t size, void *args);

/* Allocates and returns the status; *object is in and out. */
uint32_t fake_driver_alloc(struct fake_driver *driver, uint32_t client, uint32_t parent,
                           uint32_t class, uint32_t *object);
/* The same with parameters; size 0 as libcuda sends it. */
uint32_t fake_driver_alloc_with(struct fake_driver *driver, struct rm_alloc_48 *alloc);
uint32_t fake_driver_alloc_memory(struct fake_driver *driver, uint32_t client, uint32_t parent,
                                  uint32_t object, uint64_t bytes);
uint32_t fake_driver_free(struct fake_driver *driver, uint32_t client, uint32_t object);
