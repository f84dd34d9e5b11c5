#pragma once
/*
 * card - the GPUs that a CUDA program sees: found by cuInit, ordered by CUDA_VISIBLE_DEVICES, and
 * never gone until the process ends.
 */
#include "abi/cuda.h"
#include "sim/session.h"
#include "sim/visible.h"
#include "sim/wire.h"

#include <pthread.h>
#include <stdbool.h>

struct CUctx_st;

struct card {
    struct wire_gpu info;
    int node_fd;                /* of /dev/nvidiaN: while it is open the device is ours to use */
    uint32_t device, subdevice; /* handles */
    pthread_mutex_t lock;       /* of what follows */
    struct CUctx_st *primary;
    unsigned int primary_count;
};

/* The first call finds the GPUs; later ones return what it did. */
CUresult cards_start(void);

/* CUDA_SUCCESS between cards_start() and the end. */
CUresult cards_check(void);

struct session *cards_session(void);

/* NULL where there is no such device, or before cards_start(). */
struct card *cards_get(CUdevice device);

/* The driver's own words about a status of the RM. */
CUresult card_result(uint32_t rm_status);

/* What the card has for programs, and what is free of it, as the RM says now. */
CUresult card_get_memory(const struct card *card, size_t *ret_free_bytes, size_t *ret_total_bytes);
