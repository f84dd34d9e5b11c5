#pragma once
/*
 * ptx - what the simulator reads of a kernel's PTX text: the names of its entries, their parameters
 * and, from a comment before or inside an entry, what the kernel does with time:
 *
 *     //! sim duration_ns=<parameter> * <ns per unit> progress=<parameter> clock=<parameter>
 *
 * duration_ns: an unsigned integer parameter's value times a decimal factor is how long the kernel
 * runs. progress: points to a u64 that grows by that value, linearly, as the kernel runs. clock:
 * points to a u64 that becomes %globaltimer at its end. Hardware ignores the line; each part may be
 * left out, and a kernel without it lasts 10 us. Code is not looked at.
 */
#include "utils/attr.h"

#include <stdint.h>

#define PTX_PARAMETERS_MAX 32
#define PTX_NAME_MAX       128
#define PTX_NONE           (-1)

struct ptx_parameter {
    char name[PTX_NAME_MAX];
    uint32_t offset, bytes; /* as in the buffer of cuLaunchKernel's `extra` */
};

struct ptx_entry {
    struct ptx_entry *next;
    char name[PTX_NAME_MAX];
    uint32_t parameter_count;
    struct ptx_parameter parameters[PTX_PARAMETERS_MAX];
    int duration, progress, clock; /* indices of parameters, PTX_NONE */
    uint64_t unit_ps;              /* picoseconds for each unit of `duration` */
};

/*
 * Returns the entries in their order in *ret_entries, which the caller gives to ptx_free. -EINVAL:
 * this is no PTX, or a contract names what is not there, with words in `err`; -ENOMEM.
 */
struct err;
int ptx_parse(struct ptx_entry **ret_entries, const char *text, struct err *err) MUST_CHECK;
void ptx_free(struct ptx_entry *entries);
