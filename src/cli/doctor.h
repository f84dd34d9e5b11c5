#pragma once
/*
 * doctor - what `vgpu doctor` looks at. A check is only said to work where it was seen to.
 */
#include "supervisor/gpus.h"
#include "supervisor/runtime.h"
#include "utils/attr.h"

#include <stddef.h>

#define DOCTOR_TEXT_MAX   160
#define DOCTOR_CHECKS_MAX (8 + 5 * GPUS_MAX)

enum doctor_works { DOCTOR_WORKS, DOCTOR_DOES_NOT, DOCTOR_NOT_TESTED };

struct doctor_check {
    char name[64];
    enum doctor_works works;
    char how[DOCTOR_TEXT_MAX];  /* it was seen */
    char then[DOCTOR_TEXT_MAX]; /* what follows for people */
};

struct doctor {
    struct runtime runtime;
    struct doctor_check checks[DOCTOR_CHECKS_MAX];
    size_t count;
};

struct doctor_check *doctor_add(struct doctor *doctor, const char *name, enum doctor_works works);

/* What can be seen without a GPU. */
void doctor_look_at_machine(struct doctor *doctor);

/* Tries a GPU with real work, and keeps the verdict. */
void doctor_try_gpu(struct doctor *doctor, struct gpus *gpus, uint32_t position);
