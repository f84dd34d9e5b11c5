#pragma once
/*
 * launch - the environment of a tenant's command, and its start.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>

#define LAUNCH_NOT_EXECUTABLE 126
#define LAUNCH_NOT_FOUND      127

/*
 * Sets LD_PRELOAD (ours before what the user has), VGPU_CONTROL, VGPU_ON_LOSS, and
 * CUDA_VISIBLE_DEVICES where `visible` is not NULL, in this process's environment.
 */
int launch_set_environment(const char *control_path, bool is_closed, const char *visible,
                           struct err *err) MUST_CHECK;

/* Executes; returns only where it cannot, the exit status to end with, and words in `err`. */
int launch_execute(char **argv, struct err *err);
