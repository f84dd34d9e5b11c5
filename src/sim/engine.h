#pragma once
/*
 * engine - whose turn it is on a GPU's compute engine: the states at the top of sim/gpu.h.
 */
#include "sim/gpu.h"

/* Whether the channel has a kernel that could run if its group were resident. */
bool engine_channel_wants(const struct gpu_channel *channel);

/* Whether its kernel advances now. */
bool engine_channel_runs(const struct gpu_channel *channel);
bool engine_group_wants(const struct gpu_group *group);

/* The number of kernels that share the engine now. */
uint64_t engine_running(const struct gpu *gpu);

/* Takes the transitions due at gpu->now_ns, one at a time; returns whether there was one. */
bool engine_step(struct gpu *gpu);

/* The next instant at which a transition is due by time alone. */
uint64_t engine_next_ns(const struct gpu *gpu);

/* The resident context leaves, even in the middle of a kernel. */
void engine_leave(struct gpu *gpu, uint64_t save_ns);
