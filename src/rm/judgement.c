#include "rm/judgement.h"

#include "abi/rm.h"
#include "utils/atomics.h"

#include <string.h>

uint32_t judgement_get_u32(const void *bytes, size_t offset)
{
    uint32_t value;

    memcpy(&value, (const char *)bytes + offset, sizeof(value));
    return value;
}

uint64_t judgement_get_u64(const void *bytes, size_t offset)
{
    uint64_t value;

    memcpy(&value, (const char *)bytes + offset, sizeof(value));
    return value;
}

void judgement_put_u32(void *bytes, size_t offset, uint32_t value)
{
    memcpy((char *)bytes + offset, &value, sizeof(value));
}

int judgement_read_args(struct judgement *judgement, uint64_t address, uint32_t size)
{
    const struct port *port = judgement->mediator->port;
    int rc = port->read(port->context, address, judgement->args, size);

    if (rc < 0)
        return rc;
    judgement->copies.args = judgement->args;
    judgement->copies.args_address = address;
    judgement->copies.args_size = size;
    return 0;
}

int judgement_read_params(struct judgement *judgement, uint64_t address, uint32_t size)
{
    const struct port *port = judgement->mediator->port;
    int rc = port->read(port->context, address, judgement->params, size);

    if (rc < 0)
        return rc;
    judgement->copies.params = judgement->params;
    judgement->copies.params_address = address;
    judgement->copies.params_size = size;
    return 0;
}

int judgement_perform(struct judgement *judgement)
{
    const struct port *port = judgement->mediator->port;

    return port->perform(port->context, judgement->call, &judgement->copies);
}

bool judgement_is_done(const struct judgement *judgement, int rc)
{
    return rc >= 0 && judgement_get_u32(judgement->args, judgement->status_offset) == RM_OK;
}

int judgement_answer(struct judgement *judgement, uint32_t status)
{
    const struct port *port = judgement->mediator->port;

    judgement_put_u32(judgement->args, judgement->status_offset, status);
    return port->write(port->context, judgement->copies.args_address + judgement->status_offset,
                       &status, sizeof(status));
}

int judgement_refuse(struct judgement *judgement, uint32_t status)
{
    (void)add_relaxed(&judgement->mediator->refusals, 1);
    return judgement_answer(judgement, status);
}

void judgement_lock(const struct judgement *judgement)
{
    judgement->mediator->port->lock(judgement->mediator->port->context);
}

void judgement_unlock(const struct judgement *judgement)
{
    judgement->mediator->port->unlock(judgement->mediator->port->context);
}
