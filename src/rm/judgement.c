#include "rm/judgement.h"

#include "utils/atomics.h"

#include <string.h>

HOT int judgement_read_args(struct judgement *judgement, uint64_t address, uint32_t size)
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

HOT int judgement_read_params(struct judgement *judgement, uint64_t address, uint32_t size)
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

int judgement_answer(struct judgement *judgement, uint32_t status)
{
    const struct port *port = judgement->mediator->port;

    memcpy(judgement->args + judgement->status_offset, &status, sizeof(status));
    return port->write(port->context, judgement->copies.args_address + judgement->status_offset,
                       &status, sizeof(status));
}

int judgement_refuse(struct judgement *judgement, uint32_t status)
{
    (void)add_relaxed(&judgement->mediator->refusals, 1);
    return judgement_answer(judgement, status);
}
