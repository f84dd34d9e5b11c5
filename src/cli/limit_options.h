#pragma once
/*
 * limit_options - the options that say what a tenant may have (--gpu --memory --compute --weight
 * --priority), read the same way by run and set.
 */
#include "ipc/message.h"
#include "utils/attr.h"

#include <stdint.h>

struct command_line;
struct gpus_card;

/*
 * Reads the limits that were given into a SET message (whose `fields` says which). `none` lifts a
 * memory or compute limit. Returns COMMAND_OK, or COMMAND_USAGE after saying what is wrong.
 */
int limit_options_read(const struct command_line *line, struct message_set *ret_set) MUST_CHECK;

/* Which of the cards --gpu means: a mask of their positions, all where it was not given. */
int limit_options_read_gpus(const struct command_line *line, const struct gpus_card *cards,
                            uint32_t count, uint32_t *ret_mask) MUST_CHECK;

/* The position of the one that is meant by an NVML index or a UUID, or -1. */
int limit_options_find_gpu(const char *text, const struct gpus_card *cards, uint32_t count);

/* COMMAND_USAGE, after saying so, where more memory is asked for than the card has. */
int limit_options_check_memory(const struct command_line *line, const struct message_set *set,
                               const struct gpus_card *card) MUST_CHECK;
