#pragma once
/*
 * gpu_info - what GPUs of a model can do, from the YAML list that deployments have already
 * (`model`, `fullModelName`, `vendor`, `costPerHour`, `fp16TFlops`; other keys are let be).
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>

struct gpu_info;

/* -ENOENT: no such file; -EINVAL with place and words for one that is no such list. */
int gpu_info_load(struct gpu_info **ret_info, const char *path, struct err *err) MUST_CHECK;
/* The same from memory; `name` is for errors. */
int gpu_info_parse(struct gpu_info **ret_info, const char *name, const char *text, size_t length,
                   struct err *err) MUST_CHECK;
/*
 * What the configuration names: the file `path`, or, where that is empty, ./gpu-info.yaml if it is
 * there. What cannot be read is said in the log, once for this call, and NULL knows nothing.
 */
struct gpu_info *gpu_info_open(const char *path);
/* NULL is fine. */
void gpu_info_free(struct gpu_info *info);

/*
 * The 16-bit TFLOPS of a GPU that NVML calls `model`, which has to be an entry's `model` or
 * `fullModelName` as it is. 0 and the figure, or -ENOENT where nothing is known of it; a NULL
 * `info` knows nothing.
 */
int gpu_info_find(const struct gpu_info *info, const char *model, double *ret_tflops) MUST_CHECK;
