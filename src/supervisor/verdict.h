#pragma once
/*
 * verdict - what `vgpu doctor` saw of a GPU's scheduler, kept in the runtime directory for as long
 * as GPU, driver and boot are the same.
 */
#include "utils/attr.h"
#include "utils/err.h"

struct runtime;

enum verdict {
    VERDICT_NONE,  /* nobody looked yet, or something has changed since */
    VERDICT_OBEYS, /* slices and disabling were seen to work */
    VERDICT_INERT, /* accepted or refused, but without effect */
};

enum verdict verdict_load(const struct runtime *runtime, const char *uuid,
                          const char *driver_version);
/* VERDICT_NONE forgets what was seen. */
int verdict_save(const struct runtime *runtime, const char *uuid, const char *driver_version,
                 enum verdict verdict, struct err *err) MUST_CHECK;
