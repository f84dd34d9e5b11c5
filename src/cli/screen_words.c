#include "cli/screen_words.h"

#include "cli/listing.h"
#include "utils/str.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

/* All words are shorter than SCREEN_WORD_MAX: what str_format() returns says nothing new. */

const char *screen_words_size(char ret_word[SCREEN_WORD_MAX], uint64_t bytes)
{
    if (bytes == UINT64_MAX)
        (void)str_format(ret_word, SCREEN_WORD_MAX, "-");
    else if (bytes < 1000 * MIB)
        (void)str_format(ret_word, SCREEN_WORD_MAX, "%lluMiB", (unsigned long long)(bytes / MIB));
    else if (bytes < 1000 * GIB)
        (void)str_format(ret_word, SCREEN_WORD_MAX, "%.1fGiB", (double)bytes / (double)GIB);
    else
        (void)str_format(ret_word, SCREEN_WORD_MAX, "%.1fTiB", (double)bytes / (double)TIB);
    return ret_word;
}

const char *screen_words_percent(char ret_word[SCREEN_WORD_MAX], uint64_t milli_percent)
{
    if (milli_percent == UINT64_MAX)
        (void)str_format(ret_word, SCREEN_WORD_MAX, "-");
    else
        (void)str_format(ret_word, SCREEN_WORD_MAX, "%.1f%%", (double)milli_percent / 1000.0);
    return ret_word;
}

const char *screen_words_cap(char ret_word[SCREEN_WORD_MAX], uint64_t milli_percent)
{
    return screen_words_percent(ret_word,
                                milli_percent >= LISTING_NO_CAP ? UINT64_MAX : milli_percent);
}

const char *screen_words_us(char ret_word[SCREEN_WORD_MAX], uint64_t us)
{
    if (us == UINT64_MAX)
        (void)str_format(ret_word, SCREEN_WORD_MAX, "-");
    else if (us < 1000)
        (void)str_format(ret_word, SCREEN_WORD_MAX, "%lluus", (unsigned long long)us);
    else
        (void)str_format(ret_word, SCREEN_WORD_MAX, "%.1fms", (double)us / 1000.0);
    return ret_word;
}
