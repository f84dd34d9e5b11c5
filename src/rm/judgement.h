#pragma once
/*
 * judgement - a call while it is judged: our copies of its arguments, and where in them the words
 * lie that all calls have. For the modules of `rm` alone.
 */
#include "abi/rm.h"
#include "rm/mediator.h"

#include <string.h>

/* Enough for the arguments and the parameters of every call that is judged. */
#define JUDGEMENT_ARGS_MAX   184
#define JUDGEMENT_PARAMS_MAX 128

struct judgement {
    struct mediator *mediator;
    const struct port_call *call;
    struct port_copies copies;
    uint32_t status_offset; /* of the status word in the arguments */
    _Alignas(8) unsigned char args[JUDGEMENT_ARGS_MAX];
    _Alignas(8) unsigned char params[JUDGEMENT_PARAMS_MAX];
};

static inline uint32_t judgement_get_u32(const void *bytes, size_t offset)
{
    uint32_t value;

    memcpy(&value, (const char *)bytes + offset, sizeof(value));
    return value;
}

static inline uint64_t judgement_get_u64(const void *bytes, size_t offset)
{
    uint64_t value;

    memcpy(&value, (const char *)bytes + offset, sizeof(value));
    return value;
}

/*
 * Copies the arguments (`size` <= JUDGEMENT_ARGS_MAX), or parameters; a negative errno where
 * unreadable.
 */
int judgement_read_args(struct judgement *judgement, uint64_t address, uint32_t size) MUST_CHECK;
int judgement_read_params(struct judgement *judgement, uint64_t address, uint32_t size) MUST_CHECK;

static inline MUST_CHECK int judgement_perform(struct judgement *judgement)
{
    const struct port *port = judgement->mediator->port;

    return port->perform(port->context, judgement->call, &judgement->copies);
}

/* Whether the driver has done what the call asked for. */
static inline bool judgement_is_done(const struct judgement *judgement, int rc)
{
    return rc >= 0 && judgement_get_u32(judgement->args, judgement->status_offset) == RM_OK;
}

/* Answers with a status in the driver's place. Returns what ioctl should. */
int judgement_answer(struct judgement *judgement, uint32_t status) MUST_CHECK;

/* The same for a refusal, which is counted. */
int judgement_refuse(struct judgement *judgement, uint32_t status) MUST_CHECK;

static inline void judgement_lock(const struct judgement *judgement)
{
    judgement->mediator->port->lock(judgement->mediator->port->context);
}

static inline void judgement_unlock(const struct judgement *judgement)
{
    judgement->mediator->port->unlock(judgement->mediator->port->context);
}
