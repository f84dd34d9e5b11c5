#include "hypervisor/v2_print.h"

#include "hypervisor/pod_name.h"
#include "hypervisor/v2_folder.h"
#include "utils/clock.h"

#include <errno.h>
#include <inttypes.h>

#define HEALTH_TIMEOUT_S 2 /* what foreign limiters wait */
#define PIDS_A_LINE      12
#define MS_PER_S         1000

static void print_age(FILE *file, uint64_t beat_unix_s, uint64_t now_unix_s)
{
    if (beat_unix_s > now_unix_s)
        (void)fprintf(file, "heartbeat    %" PRIu64 " (in the future)\n", beat_unix_s);
    else
        (void)fprintf(file, "heartbeat    %" PRIu64 " (%" PRIu64 " s ago)\n", beat_unix_s,
                      now_unix_s - beat_unix_s);
}

static void print_device(FILE *file, uint32_t version, const struct v2_region_device *device)
{
    (void)fprintf(file,
                  "device %-5u %s: memory %" PRIu64 " of %" PRIu64 " bytes, compute limit %u%%, "
                  "cores %u",
                  device->slot, device->uuid, device->memory_used_bytes, device->memory_limit_bytes,
                  device->up_limit_percent, device->total_cuda_cores);
    if (version == 1)
        (void)fprintf(file, ", cores available %d\n", device->available_cuda_cores);
    else
        (void)fprintf(file, ", tokens %g of %g, rate %g/s, last update %.0f\n",
                      device->current_tokens, device->capacity_tokens, device->refill_tokens_per_s,
                      device->last_update_unix_s);
}

/* What cannot be written (a closed pipe) is the command's to find at its end, with ferror(). */
void v2_print(FILE *file, const struct v2_region *region, uint64_t now_unix_s)
{
    (void)fprintf(file, "version      %u\n", region->version);
    (void)fprintf(file, "devices      %u\n", region->device_count);
    print_age(file, region->heartbeat_unix_s, now_unix_s);
    (void)fprintf(file, "health       %s\n",
                  v2_region_is_healthy(region, now_unix_s, HEALTH_TIMEOUT_S) ? "healthy"
                                                                             : "unhealthy");
    for (uint32_t i = 0; i < region->active_count; i++)
        print_device(file, region->version, &region->devices[i]);
    (void)fprintf(file, "processes    %u\n", region->pid_count);
    for (uint32_t i = 0; i < region->pid_count; i++)
        (void)fprintf(file, "%s%d%s", i % PIDS_A_LINE ? " " : "  ", region->pids[i],
                      i % PIDS_A_LINE == PIDS_A_LINE - 1 || i + 1 == region->pid_count ? "\n" : "");
}

int v2_print_pod(FILE *file, const char *base_path, const char *namespace, const char *name,
                 struct err *err)
{
    CLEANUP_CLOSE int base_fd = -1, pod_fd = -1, fd = -1;
    struct v2_region region;
    struct pod_name pod;
    int rc;

    if (!pod_name_set(&pod, namespace, name))
        return err_say(err, EINVAL, "that is no name of a pod");
    base_fd = v2_folder_open_base(base_path, false, err);
    if (base_fd < 0)
        return base_fd;
    pod_fd = v2_folder_open_pod(base_fd, &pod, false, err);
    if (pod_fd < 0)
        return err_wrap(err, "pod '%s/%s'", pod.namespace, pod.name);
    fd = v2_folder_open_file(pod_fd, false, err);
    if (fd < 0)
        return err_wrap(err, "pod '%s/%s'", pod.namespace, pod.name);
    rc = v2_region_read(fd, &region, err);
    if (rc < 0)
        return rc;
    v2_print(file, &region, clock_unix_ms() / MS_PER_S);
    return 0;
}
