#include "hypervisor/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LENGTH_MAX 63

static int plain(char c)
{
    return c == '-' ? '_' : tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters have to be put in, taken out or changed: a row of the table at a time. */
static size_t measure(const char *a, const char *b)
{
    size_t length = strlen(b), row[LENGTH_MAX + 1];

    if (length > LENGTH_MAX || strlen(a) > LENGTH_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= length; i++)
        row[i] = i;
    for (; *a; a++) {
        size_t diagonal = row[0]++;

        for (size_t i = 0; i < length; i++) {
            size_t changed = diagonal + (plain(*a) != plain(b[i]));

            diagonal = row[i + 1];
            row[i + 1] = least(changed, least(row[i], row[i + 1]) + 1);
        }
    }
    return row[length];
}

void nearest_begin(struct nearest *ret_nearest, const char *word)
{
    *ret_nearest = (struct nearest){.word = word, .distance = SIZE_MAX};
}

void nearest_offer(struct nearest *nearest, const char *known)
{
    size_t distance = measure(nearest->word, known);

    if (distance < nearest->distance) {
        nearest->best = known;
        nearest->distance = distance;
    }
}

const char *nearest_get(const struct nearest *nearest)
{
    return nearest->best && nearest->distance <= 1 + strlen(nearest->word) / 3 ? nearest->best
                                                                               : NULL;
}
