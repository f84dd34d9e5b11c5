#pragma once
/*
 * shm_commands - `vgpu-hypervisor mount-shm` and `show-shm`: the place of the files that readers of
 * the former shared memory look at, and a look into one of them.
 */
#define SHM_COMMANDS_BASE "/run/tensor-fusion/shm"

/* `words` are those behind the subcommand. Each returns the exit status and says what failed. */
int shm_commands_mount(char *const *words);
int shm_commands_show(char *const *words);
