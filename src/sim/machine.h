#pragma once
/*
 * machine - the simulated machine: its GPUs, the open files of its device nodes, what the RM's
 * clients have made, and what is wrong with it. Knows nothing of sockets or processes beyond their
 * numbers.
 */
#include "sim/board.h"
#include "sim/faults.h"
#include "sim/objects.h"
#include "utils/attr.h"
#include "utils/list.h"

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_BOARDS_MAX 16

enum machine_node { MACHINE_CONTROL, MACHINE_GPU, MACHINE_UVM };

/* An open file of a device node; all its duplicates, in whatever process, are this one. */
struct open_file {
    struct list node;
    enum machine_node kind;
    uint32_t board;         /* of MACHINE_GPU */
    uint64_t inode;         /* its name */
    uint64_t control;       /* inode of the control file it was registered with, 0: none */
    uint32_t pid, uid;      /* of who opened it */
    struct list clients;    /* made on it, or on a GPU's file registered with it */
    struct storage *mapped; /* what mmap would give; a reference */
    uint64_t mapped_offset, mapped_bytes;
    bool is_mapped_writable;
};

struct machine {
    struct board *boards[MACHINE_BOARDS_MAX];
    uint32_t board_count;
    struct objects objects;
    struct list files;
    struct faults faults;
    uint64_t random;
};

struct machine_options {
    uint32_t gpus;
    uint64_t memory_bytes;
    const char *model;
    uint64_t now_ns, now_unix_ns;
};

/* -ENOMEM. */
int machine_init(struct machine *machine, const struct machine_options *options) MUST_CHECK;
void machine_fini(struct machine *machine);

/* NULL where there is none or it is missing; a lost one is there. */
struct board *machine_board(struct machine *machine, uint32_t index);

/* Brings every GPU up to an instant. */
void machine_advance(struct machine *machine, uint64_t now_ns);

/* Sets a fault, and does at once what follows from it. */
int machine_set_fault(struct machine *machine, const char *text, struct err *err) MUST_CHECK;

/* -ENOMEM. */
int machine_add_file(struct machine *machine, struct open_file **ret_file,
                     const struct open_file *file) MUST_CHECK;
struct open_file *machine_find_file(struct machine *machine, uint64_t inode);

/* The last duplicate was closed: frees the clients made on it. */
void machine_close_file(struct machine *machine, struct open_file *file);

/* A delay between two bounds; the same sequence in every run. */
uint64_t machine_draw_ns(struct machine *machine, uint64_t min_ns, uint64_t max_ns);
