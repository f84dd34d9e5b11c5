#pragma once
/*
 * descriptors - which of the process's descriptors are open files of the driver, and which are
 * ours. Reading needs no lock and no memory, so that a call on any other descriptor costs one look.
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>

#define DESCRIPTORS_MAX (1024u * 1024u) /* higher ones are not kept */
#define DESCRIPTORS_OWN UINT64_MAX

/* The open file's number; 0: not the driver's; DESCRIPTORS_OWN: one of ours. */
uint64_t descriptors_get(int fd);

/*
 * Notes that `fd` is now the open file `file_id` (a new number of descriptors_new_file(), that of
 * the descriptor it was duplicated from, DESCRIPTORS_OWN, or 0). Returns what it was before: a file
 * that somebody closed without our seeing it.
 */
uint64_t descriptors_set(int fd, uint64_t file_id);
uint64_t descriptors_new_file(void);

/* A descriptor of an open file, -1 where there is none left. */
int descriptors_find(uint64_t file_id);

/* The first descriptor in [first, last] that is noted as something; -1: none. */
int descriptors_next(unsigned int first, unsigned int last);

/*
 * What a descriptor stands for, by device and inode; 0: nothing. The program may have closed one of
 * ours behind our back (by a bare system call) and put its number to another use.
 */
uint64_t descriptors_identify(int fd);
