#pragma once
/*
 * shm_commands - `vgpu-hypervisor mount-shm` and `show-shm`: the place of the files that readers of
 * the former shared memory look at, and a look into one of them.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdio.h>

#define SHM_COMMANDS_BASE "/run/tensor-fusion/shm"

/* Prints what the file holds; negative errno with words. */
typedef int shm_commands_reader(const char *path, FILE *file, struct err *err);

/* `words` are those behind the subcommand. Each returns the exit status and says what failed. */
int shm_commands_mount(char *const *words);
int shm_commands_show(char *const *words, shm_commands_reader *reader);
