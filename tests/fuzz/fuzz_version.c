/*
 * The libFuzzer target of bootstrap/version: any bytes as the file of a library, and as two
 * versions.
 */
#include "bootstrap/version.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const char *a, const char *b)
{
    int order = version_compare(a, b), back = version_compare(b, a);

    if ((order < 0) != (back > 0) || (order > 0) != (back < 0) || version_compare(a, a) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[VERSION_TEXT_MAX], other[VERSION_TEXT_MAX] = "1.2.3";
    static int fd = -1;

    if (fd < 0)
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    if (version_read(fd, text)) {
        if (strlen(text) >= sizeof(text) || !version_is_valid(text))
            abort();
        compare(text, other);
    }
    memcpy(other, data, size < sizeof(other) ? size : sizeof(other));
    other[sizeof(other) - 1] = '\0';
    if (version_is_valid(other))
        compare("1.2.3-rc1", other);
    return 0;
}
