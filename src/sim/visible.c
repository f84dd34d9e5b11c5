#include "sim/visible.h"

#include "utils/str.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define ENTRY_MAX 64
#define NOTHING   UINT32_MAX
#define UUID_WORD "GPU-"

static uint32_t find_uuid(const char *entry, const char *const *uuids, uint32_t count)
{
    uint32_t found = NOTHING;

    for (uint32_t i = 0; i < count; i++) {
        if (strncasecmp(uuids[i], entry, strlen(entry)) != 0)
            continue;
        if (found != NOTHING)
            return NOTHING;
        found = i;
    }
    return found;
}

static uint32_t find_entry(const char *entry, const char *const *uuids, uint32_t count)
{
    uint32_t index = 0;

    if (str_starts_with(entry, UUID_WORD))
        return find_uuid(entry, uuids, count);
    if (!*entry)
        return NOTHING;
    for (; *entry; entry++) {
        if (*entry < '0' || *entry > '9' || index >= VISIBLE_MAX)
            return NOTHING;
        index = index * 10 + (uint32_t)(*entry - '0');
    }
    return index < count ? index : NOTHING;
}

/* The next entry without the blanks around it; false where it is too long to name anything. */
static bool next_entry(const char **text, char entry[ENTRY_MAX])
{
    size_t length = strcspn(*text, ",");
    const char *start = *text;

    *text += length + (start[length] == ',');
    while (length > 0 && *start == ' ') {
        start++;
        length--;
    }
    while (length > 0 && start[length - 1] == ' ')
        length--;
    if (length >= ENTRY_MAX)
        return false;
    memcpy(entry, start, length);
    entry[length] = '\0';
    return true;
}

uint32_t visible_parse(uint32_t order[VISIBLE_MAX], const char *text, const char *const *uuids,
                       uint32_t count)
{
    char entry[ENTRY_MAX];
    uint32_t found = 0;

    for (uint32_t i = 0; !text && i < count && i < VISIBLE_MAX; i++)
        order[found++] = i;
    while (text && *text && found < VISIBLE_MAX && next_entry(&text, entry)) {
        uint32_t index = find_entry(entry, uuids, count);

        if (index == NOTHING)
            break;
        for (uint32_t i = 0; i < found; i++) {
            if (order[i] == index)
                return 0;
        }
        order[found++] = index;
    }
    return found;
}
