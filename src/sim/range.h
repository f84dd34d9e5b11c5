#pragma once
/*
 * range - which memory lies at which address. An allocation has addresses that are reserved and
 * nothing more until its contents are first used; then the RM object behind it is mapped there, so
 * that program, driver library and simulated GPU see the same bytes. One table for the process;
 * safe from any thread.
 */
#include "abi/cuda.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>

struct block;

struct range {
    uint64_t address, bytes;
    struct block *block; /* NULL: plain memory of the process */
    uint64_t offset;     /* in the block */
    bool is_mapped;
};

/* Reserves addresses that nothing else gets. 0: there are none. */
uint64_t range_reserve(uint64_t bytes);
void range_release(uint64_t address, uint64_t bytes);

/* Takes away what is mapped there, and keeps the addresses reserved. */
void range_hide(uint64_t address, uint64_t bytes);

/* CUDA_ERROR_OUT_OF_MEMORY: no room in the table; CUDA_ERROR_INVALID_VALUE: it overlaps. */
CUresult range_add(const struct range *range) MUST_CHECK;

/* Takes the range that begins at the address out of the table; its addresses stay reserved. */
bool range_remove(uint64_t address, struct range *ret_range);

/* The range that the address lies in. */
bool range_find(uint64_t address, struct range *ret_range);

/* Makes [address, address + bytes) usable. CUDA_ERROR_INVALID_VALUE: it is not all ours. */
CUresult range_touch(uint64_t address, uint64_t bytes) MUST_CHECK;

/* The contents were never used: they are zero, and cost nothing. */
bool range_is_untouched(uint64_t address, uint64_t bytes);
