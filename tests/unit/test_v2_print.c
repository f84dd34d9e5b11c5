#include "hypervisor/v2_print.h"

#include "hypervisor/v2_folder.h"
#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOW 1700000000u

static const struct v2_region_quota quota = {
    .uuid = "GPU-1", .memory_limit_bytes = 1000, .memory_used_bytes = 10};

static char *print(const struct v2_region *region, uint64_t now_unix_s)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    CHECK(file != NULL);
    v2_print(file, region, now_unix_s);
    CHECK_EQ(fclose(file), 0);
    return text;
}

TEST(a_file_of_version_two_is_shown_with_all_it_says)
{
    static struct v2_region_image image;
    struct v2_region region;
    char *text;

    v2_region_init(&image, 1, NOW);
    v2_region_set_slot(&image, 2, &quota, NOW);
    CHECK_EQ(v2_region_set_pids(&image, (const int32_t[]){7, 8}, 2), 0);
    CHECK_EQ(v2_region_decode(&image, sizeof(image), &region, NULL), 0);
    text = print(&region, NOW + 2);
    CHECK_STR_EQ(text, "version      2\n"
                       "devices      1\n"
                       "heartbeat    1700000000 (2 s ago)\n"
                       "health       healthy\n"
                       "device 2     GPU-1: memory 10 of 1000 bytes, compute limit 100%, cores 0, "
                       "tokens 100 of 100, rate 10/s, last update 1700000000\n"
                       "processes    2\n"
                       "  7 8\n");
    free(text);
    text = print(&region, NOW + 3);
    CHECK(strstr(text, "unhealthy") != NULL);
    free(text);
    text = print(&region, NOW - 1);
    CHECK(strstr(text, "in the future") != NULL);
    free(text);
}

TEST(version_one_has_cores_and_no_tokens)
{
    struct v2_region region = {
        .version = 1,
        .active_count = 1,
        .devices = {{.uuid = "GPU-1", .available_cuda_cores = -3, .total_cuda_cores = 9}}};
    char *text = print(&region, NOW);

    CHECK(strstr(text, "cores 9, cores available -3\n") != NULL);
    CHECK(strstr(text, "tokens") == NULL);
    free(text);
}

TEST(a_pod_is_found_by_its_names_and_by_nothing_else)
{
    char base[] = "/tmp/vgXXXXXX", *text = NULL;
    static struct v2_region_image image;
    struct pod_name pod;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    struct err err;
    int base_fd, pod_fd, fd;

    CHECK(mkdtemp(base) != NULL);
    CHECK(pod_name_set(&pod, "space", "pod"));
    base_fd = v2_folder_open_base(base, false, &err);
    pod_fd = v2_folder_open_pod(base_fd, &pod, true, &err);
    v2_region_init(&image, 1, NOW);
    fd = v2_folder_make_file(pod_fd, &image, &err);
    CHECK(fd >= 0);
    CHECK_OK(v2_print_pod(file, base, "space", "pod", &err), &err);
    CHECK_EQ(v2_print_pod(file, base, "space", "nobody", &err), -ENOENT);
    CHECK_EQ(v2_print_pod(file, base, "..", "pod", &err), -EINVAL);
    CHECK_EQ(v2_print_pod(file, "/nowhere", "space", "pod", &err), -ENOENT);
    CHECK_EQ(ftruncate(fd, 12), 0);
    CHECK_EQ(v2_print_pod(file, base, "space", "pod", &err), -EPROTO);
    CHECK_EQ(fclose(file), 0);
    CHECK(strstr(text, "version      2\n") == text);
    free(text);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(close(pod_fd), 0);
    v2_folder_remove(base_fd, &pod);
    CHECK_EQ(close(base_fd), 0);
    CHECK_EQ(rmdir(base), 0);
}
