#pragma once
/*
 * module - a program's kernels: loaded from PTX text, and turned into items of a lane when they are
 * launched, with the duration, counter and clock that their contract gives them (sim/ptx.h).
 */
#include "abi/cuda.h"
#include "sim/queue.h"
#include "utils/attr.h"

struct CUctx_st;

struct module_launch {
    unsigned int grid[3], block[3];
    void **parameters, **extra; /* as for cuLaunchKernel */
};

CUresult module_make_item(CUfunction function, const struct module_launch *launch,
                          struct queue_item *ret_item) MUST_CHECK;

/* For contexts: what was loaded in it. */
void module_end_all(struct CUctx_st *context);
