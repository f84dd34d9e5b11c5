#pragma once
/*
 * mediator - what one call to the resource manager means for a tenant: the call is judged,
 * performed through the port, and its answer recorded and, where it tells the size of a GPU,
 * patched.
 *
 *   video memory     reserved before the driver is asked, rounded to its page size; given back
 *                    where the driver refuses; adjusted to what was granted. Beyond the quota the
 *                    answer is RM_NO_MEMORY, in the status word with ioctl returning 0, as the
 *                    driver itself would
 *   a device         that the tenant may not use is refused with RM_INSUFFICIENT_PERMISSIONS
 *   sizes            of the frame buffer are made smaller to fit the quota, never larger
 *   groups, channels are told of, and freed ones too
 *
 * Any other call, and any known one of an unknown size, is passed on untouched; the latter are
 * counted. Calls may come from any number of threads; no lock is held while the driver is called.
 */
#include "abi/rm.h"
#include "rm/port.h"
#include "rm/recall.h"
#include "rm/registry.h"

#include <stdatomic.h>

struct mediator {
    const struct port *port; /* borrowed */
    _Atomic uint64_t calls;  /* about: of calls that meet, one may be lost */
    _Atomic uint64_t unparsed, refusals;
    struct recall recall;
    struct registry registry;
};

void mediator_init(struct mediator *mediator, const struct port *port);
void mediator_fini(struct mediator *mediator);

/* Carries one call; returns what ioctl should: 0 or more, or a negative errno. */
int mediator_call(struct mediator *mediator, const struct port_call *call) MUST_CHECK;

/*
 * The short way, for whoever can perform a control himself. No control is refused, and all but a
 * few mean nothing, so that one that came as MEDIATOR_CONTROL needs no more than this: it is
 * counted, performed, and where the driver has done it (ioctl returned 0 or more, and so its memory
 * is known to be there) and mediator_heeds() it, it is noted: at once, without the lock, or where
 * that is false with it. mediator_call() does the same.
 */
#define MEDIATOR_CONTROL RM_REQUEST(RM_NR_CONTROL, sizeof(struct rm_control))

static inline void mediator_count(struct mediator *mediator)
{
    /* Not one locked step: that costs more than all else on the way to the driver. */
    store_relaxed(&mediator->calls, load_relaxed(&mediator->calls) + 1);
}

static inline bool mediator_heeds(const struct rm_control *control)
{
    return (control->command == RM_CONTROL_FB_GET_INFO_V2 ||
            control->command == RM_CONTROL_FB_GET_INFO ||
            control->command == RM_CONTROL_SET_TIMESLICE) &&
           control->status == RM_OK;
}

bool mediator_note_at_once(struct mediator *mediator, const struct rm_control *control) MUST_CHECK;
void mediator_note_control(struct mediator *mediator, const struct rm_control *control);

/* The last descriptor of an open file was closed: its clients are gone, and their memory. */
void mediator_close_file(struct mediator *mediator, uint64_t file_id);

/* Tells of every group and channel again. */
void mediator_tell_all(struct mediator *mediator);

/*
 * In a forked child: objects stay known; their memory is charged to the parent, which tells of
 * them.
 */
void mediator_begin_as_child(struct mediator *mediator);

/* Whether a call of that number means anything, of whatever size. */
static inline bool mediator_heeds_number(uint32_t nr)
{
    return nr == RM_NR_CONTROL || nr == RM_NR_ALLOC || nr == RM_NR_FREE || nr == RM_NR_DUP_OBJECT ||
           nr == RM_NR_ALLOC_MEMORY || nr == RM_NR_HEAP_CONTROL || nr == RM_NR_TRANSFER;
}

/* Whether a request has the number and size of a call that is judged. */
bool mediator_is_known(unsigned long request);

struct mediator_channel {
    uint64_t file_id;
    uint32_t client, subdevice, device_instance, channel;
};

/*
 * Lists the channels that compute runs on, those of one client and device together; returns their
 * number, at most `max`.
 */
size_t mediator_list_channels(struct mediator *mediator, struct mediator_channel *ret_channels,
                              size_t max);
