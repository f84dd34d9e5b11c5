/*
 * The libFuzzer target of hypervisor/v2_region: any bytes as a pod's shared file, as they are and
 * with the length and tag of one; what is read is printed, and written over.
 */
#include "hypervisor/v2_region.h"

#include "hypervisor/v2_print.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct v2_region *region)
{
    static FILE *nowhere;

    if (!nowhere)
        nowhere = fopen("/dev/null", "we");
    if (!nowhere || region->active_count > V2_REGION_DEVICES_MAX ||
        region->pid_count > V2_REGION_PIDS_MAX)
        abort();
    for (uint32_t i = 0; i < region->pid_count; i++)
        if (region->pids[i] <= 0)
            abort();
    v2_print(nowhere, region, 1700000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[V2_REGION_SIZE];
    static struct v2_region_image image;
    struct v2_region region;
    static int fd = -1;

    if (v2_region_decode(data, size, &region, NULL) == 0)
        check(&region);
    if (!size)
        return 0;
    /* The bytes over and over: short inputs reach all of it. */
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = data[i % size];
    memset(bytes, 0, sizeof(uint32_t));
    bytes[0] = data[0] & 1;
    if (v2_region_decode(bytes, sizeof(bytes), &region, NULL) < 0)
        abort();
    check(&region);
    if (fd < 0)
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    v2_region_init(&image, 1, 1700000000);
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size ||
        v2_region_write(fd, &image, NULL) < 0 || v2_region_read(fd, &region, NULL) < 0 ||
        region.active_count || region.pid_count)
        abort();
    return 0;
}
