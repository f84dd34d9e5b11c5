#include "sim/faults.h"

#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define SLOW_DEFAULT_MS 20
#define SLOW_MAX_MS     60000
#define GPU_INDEX_MAX   31

enum fault_kind { FAULT_FLAG, FAULT_MS, FAULT_GPU, FAULT_GPU_OR_FIRST };

static const struct fault {
    const char *name;
    enum fault_kind kind;
    size_t offset;
} table[] = {
    {"slice-inert", FAULT_FLAG, offsetof(struct faults, slice_inert)},
    {"disable-inert", FAULT_FLAG, offsetof(struct faults, disable_inert)},
    {"disable-refused", FAULT_FLAG, offsetof(struct faults, disable_refused)},
    {"slow-controls", FAULT_MS, offsetof(struct faults, slow_controls_ms)},
    {"gpu-lost", FAULT_GPU_OR_FIRST, offsetof(struct faults, lost_gpus)},
    {"gpu-missing", FAULT_GPU, offsetof(struct faults, missing_gpus)},
    {"no-records", FAULT_FLAG, offsetof(struct faults, no_records)},
    {"no-nvml", FAULT_FLAG, offsetof(struct faults, no_nvml)},
};

static const struct faults_help help[] = {
    {"slice-inert", "setting a time slice is accepted and has no effect"},
    {"disable-inert", "disabling channels is accepted and has no effect"},
    {"disable-refused", "disabling channels is refused: insufficient permissions (0x1b)"},
    {"slow-controls[=MS]", "controls of the scheduler take MS milliseconds longer (20)"},
    {"gpu-lost[=INDEX]", "the GPU (0) has fallen off the bus"},
    {"gpu-missing=INDEX", "the GPU is not there, the others are"},
    {"no-records", "context-switch records cannot be had"},
    {"no-nvml", "NVML does not start"},
    {NULL, NULL},
};

const struct faults_help *faults_list(void)
{
    return help;
}

static int set_gpu(uint32_t *mask, const struct fault *fault, const char *value, struct err *err)
{
    uint64_t index = 0;
    int rc;

    if (!value && fault->kind == FAULT_GPU)
        return err_say(err, EINVAL, "fault '%s' needs the index of a GPU", fault->name);
    if (value && str_equals(value, "off")) {
        *mask = 0;
        return 0;
    }
    if (value) {
        rc = parse_u64(&index, value, 0, GPU_INDEX_MAX, err);
        if (rc < 0)
            return rc;
    }
    *mask |= UINT32_C(1) << index;
    return 0;
}

static int set_ms(uint32_t *ms, const char *value, struct err *err)
{
    uint64_t number = SLOW_DEFAULT_MS;
    int rc;

    if (value && str_equals(value, "off")) {
        *ms = 0;
        return 0;
    }
    if (value) {
        rc = parse_u64(&number, value, 0, SLOW_MAX_MS, err);
        if (rc < 0)
            return rc;
    }
    *ms = (uint32_t)number;
    return 0;
}

int faults_set(struct faults *faults, const char *text, struct err *err)
{
    size_t length = strcspn(text, "=");
    const char *value = text[length] == '=' ? text + length + 1 : NULL;

    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const struct fault *fault = &table[i];
        void *field = (char *)faults + fault->offset;

        if (strlen(fault->name) != length || strncmp(text, fault->name, length) != 0)
            continue;
        if (fault->kind == FAULT_MS)
            return set_ms(field, value, err);
        if (fault->kind != FAULT_FLAG)
            return set_gpu(field, fault, value, err);
        if (value && !str_equals(value, "on") && !str_equals(value, "off"))
            return err_say(err, EINVAL, "fault '%s' is on or off", fault->name);
        *(bool *)field = !value || str_equals(value, "on");
        return 0;
    }
    return err_say(err, EINVAL, "no fault is called '%.*s'", (int)length, text);
}
