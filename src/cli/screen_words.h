#pragma once
/*
 * screen_words - numbers as `vgpu top` shows them; what is not known (UINT64_MAX) is `-`.
 */
#include <stdint.h>

#define SCREEN_WORD_MAX 24

/* `512MiB`, `79.6GiB`: at most 7 columns below 100 TiB. */
const char *screen_words_size(char ret_word[SCREEN_WORD_MAX], uint64_t bytes);
/* `29.9%`. */
const char *screen_words_percent(char ret_word[SCREEN_WORD_MAX], uint64_t milli_percent);
/* The same for a cap, of which 100 % is none: `-`. */
const char *screen_words_cap(char ret_word[SCREEN_WORD_MAX], uint64_t milli_percent);
/* `250us`, `10.0ms`. */
const char *screen_words_us(char ret_word[SCREEN_WORD_MAX], uint64_t us);
