#include "hypervisor/v2_region.h"

#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW 1700000000u

static const struct v2_region_quota quota = {.uuid = "GPU-0a1b2c3d-0000-1111-2222-333344445555",
                                             .memory_limit_bytes = 8ull << 30,
                                             .memory_used_bytes = 3ull << 30};

static int make_file(void)
{
    int fd = memfd_create("v2", MFD_CLOEXEC);

    CHECK(fd >= 0);
    return fd;
}

static uint64_t word_at(int fd, off_t offset)
{
    uint64_t word = 0;

    CHECK_EQ(pread(fd, &word, sizeof(word), offset), sizeof(word));
    return word;
}

static uint32_t half_at(int fd, off_t offset)
{
    uint32_t half = 0;

    CHECK_EQ(pread(fd, &half, sizeof(half), offset), sizeof(half));
    return half;
}

static double real_at(int fd, off_t offset)
{
    uint64_t word = word_at(fd, offset);
    double value;

    memcpy(&value, &word, sizeof(value));
    return value;
}

static struct v2_region_image *make_image(void)
{
    static struct v2_region_image image;

    v2_region_init(&image, 4242, NOW);
    return &image;
}

TEST(each_field_lies_where_foreign_readers_look)
{
    struct v2_region_image *image = make_image();
    int fd = make_file();
    char uuid[64];
    struct err err;
    struct stat status;

    v2_region_set_slot(image, 3, &quota, NOW);
    image->heartbeat_unix_s = NOW + 7;
    CHECK_EQ(v2_region_set_pids(image, (const int32_t[]){77, 5}, 2), 0);
    CHECK_OK(v2_region_write(fd, image, &err), &err);
    CHECK_EQ(fstat(fd, &status), 0);
    CHECK_EQ(status.st_size, 35504);
    CHECK_EQ(half_at(fd, 0), 1);
    CHECK_EQ(pread(fd, uuid, sizeof(uuid), 8 + 3 * 136), sizeof(uuid));
    CHECK_STR_EQ(uuid, quota.uuid);
    CHECK_EQ(half_at(fd, 416 + 64), 100);
    CHECK_EQ(word_at(fd, 416 + 72), 8ull << 30);
    CHECK_EQ(half_at(fd, 416 + 80), 0);
    CHECK_EQ(word_at(fd, 416 + 88), 3ull << 30);
    CHECK_NEAR(real_at(fd, 416 + 96), 10.0, 0);
    CHECK_NEAR(real_at(fd, 416 + 104), 100.0, 0);
    CHECK_NEAR(real_at(fd, 416 + 112), 100.0, 0);
    CHECK_NEAR(real_at(fd, 416 + 120), (double)NOW, 0);
    CHECK_EQ(half_at(fd, 416 + 128), 1);
    CHECK_EQ(half_at(fd, 8 + 128), 0); /* slot 0 is nobody's */
    CHECK_EQ(half_at(fd, 2184), 1);
    CHECK_EQ(word_at(fd, 2192), NOW + 7);
    CHECK_EQ(word_at(fd, 2200), 0);
    CHECK_EQ(word_at(fd, 2208), 5);
    CHECK_EQ(word_at(fd, 2216), 77);
    CHECK_EQ(word_at(fd, 18592), 3ull << 62); /* the first two, from the highest bit on */
    CHECK_EQ(word_at(fd, 34976), 2);
    CHECK_EQ(word_at(fd, 34984), 4242);
    CHECK_EQ(close(fd), 0);
}

TEST(places_beyond_a_word_are_bits_of_the_next_from_its_highest_on)
{
    struct v2_region_image *image = make_image();
    int32_t pids[70];

    for (int i = 0; i < 70; i++)
        pids[i] = i + 1;
    CHECK_EQ(v2_region_set_pids(image, pids, 70), 0);
    CHECK_EQ(image->bitmap[0], UINT64_MAX);
    CHECK_EQ(image->bitmap[1], 0x3full << 58);
    CHECK_EQ(image->pid_count, 70);
}

TEST(who_stays_keeps_its_place_and_a_freed_place_is_used_again)
{
    struct v2_region_image *image = make_image();

    CHECK_EQ(v2_region_set_pids(image, (const int32_t[]){10, 20, 30}, 3), 0);
    CHECK_EQ(v2_region_set_pids(image, (const int32_t[]){30, 10}, 2), 0);
    CHECK_EQ(image->bitmap[0], 5ull << 61);
    CHECK_EQ(image->pids[2], 30);
    CHECK_EQ(v2_region_set_pids(image, (const int32_t[]){40, 30, 10}, 3), 0);
    CHECK_EQ(image->pids[1], 40);
    CHECK_EQ(image->bitmap[0], 7ull << 61);
    CHECK_EQ(v2_region_set_pids(image, NULL, 0), 0);
    CHECK_EQ(image->bitmap[0], 0);
    CHECK_EQ(image->pid_count, 0);
}

TEST(a_full_set_takes_no_more_and_says_how_many_it_left)
{
    struct v2_region_image *image = make_image();
    static int32_t pids[V2_REGION_PIDS_MAX + 3];

    for (int32_t i = 0; i < V2_REGION_PIDS_MAX + 3; i++)
        pids[i] = i + 1;
    CHECK_EQ(v2_region_set_pids(image, pids, V2_REGION_PIDS_MAX + 3), 3);
    CHECK_EQ(image->pid_count, V2_REGION_PIDS_MAX);
    CHECK_EQ(image->bitmap[V2_REGION_PIDS_MAX / 64 - 1], UINT64_MAX);
    CHECK_EQ(image->bitmap[V2_REGION_PIDS_MAX / 64], 0);
    CHECK_EQ(v2_region_set_pids(image, (const int32_t[]){2048}, 1), 0);
    CHECK_EQ(image->pid_count, 1);
}

TEST(a_slot_that_is_set_twice_counts_once_and_one_out_of_range_not_at_all)
{
    struct v2_region_image *image = make_image();

    v2_region_set_slot(image, 15, &quota, NOW);
    v2_region_set_slot(image, 15, &quota, NOW + 9);
    v2_region_set_slot(image, 16, &quota, NOW);
    v2_region_set_slot(image, UINT32_MAX, &quota, NOW);
    CHECK_EQ(image->device_count, 1);
    CHECK_NEAR(image->slots[15].last_update_unix_s, NOW, 0); /* of when it began */
    v2_region_set_slot(image, 15, NULL, NOW);
    v2_region_set_slot(image, 14, NULL, NOW);
    CHECK_EQ(image->device_count, 0);
    CHECK_EQ(image->slots[15].memory_limit_bytes, 0);
}

TEST(what_a_pod_spoils_is_whole_after_the_next_write)
{
    struct v2_region_image *image = make_image();
    static uint8_t noise[V2_REGION_SIZE + 100];
    int fd = make_file();
    struct v2_region region;
    struct err err;

    v2_region_set_slot(image, 0, &quota, NOW);
    CHECK_OK(v2_region_write(fd, image, &err), &err);
    memset(noise, 0xa5, sizeof(noise));
    CHECK_EQ(pwrite(fd, noise, sizeof(noise), 0), sizeof(noise));
    CHECK_EQ(v2_region_read(fd, &region, &err), -EPROTO); /* too long */
    CHECK_OK(v2_region_write(fd, image, &err), &err);
    CHECK_OK(v2_region_read(fd, &region, &err), &err);
    CHECK_EQ(region.devices[0].memory_limit_bytes, 8ull << 30);
    CHECK_EQ(region.pid_count, 0);
    CHECK_EQ(word_at(fd, 34992), 0xa5a5a5a5a5a5a5a5ull); /* spare words are not ours */
    for (off_t length = 0; length < V2_REGION_SIZE; length += 997) {
        CHECK_EQ(ftruncate(fd, length), 0);
        CHECK_EQ(v2_region_read(fd, &region, &err), -EPROTO);
        CHECK_OK(v2_region_write(fd, image, &err), &err);
        CHECK_OK(v2_region_read(fd, &region, &err), &err);
        CHECK_EQ(region.active_count, 1);
    }
    CHECK_EQ(close(fd), 0);
}

TEST(a_write_changes_nothing_but_what_differs)
{
    struct v2_region_image *image = make_image();
    int fd = make_file();
    struct err err;
    uint8_t *map;

    v2_region_set_slot(image, 0, &quota, NOW);
    CHECK_OK(v2_region_write(fd, image, &err), &err);
    map = mmap(NULL, V2_REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    image->heartbeat_unix_s++;
    CHECK_OK(v2_region_write(fd, image, &err), &err);
    CHECK_EQ(memcmp(map, image, V2_REGION_SIZE), 0);
    CHECK_EQ(munmap(map, V2_REGION_SIZE), 0);
    CHECK_EQ(close(fd), 0);
}

TEST(a_file_that_cannot_be_written_is_an_error_and_no_death)
{
    struct v2_region_image *image = make_image();
    int ends[2];

    CHECK_EQ(pipe(ends), 0);
    CHECK(v2_region_write(ends[1], image, NULL) < 0);
    CHECK(v2_region_write(-1, image, NULL) < 0);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

/* --- reading --------------------------------------------------------------------------------- */

TEST(a_file_of_any_other_length_is_refused)
{
    static uint8_t bytes[V2_REGION_SIZE + 8];
    struct v2_region region;

    bytes[0] = 1;
    for (size_t length = 0; length < sizeof(bytes); length++)
        CHECK_EQ(v2_region_decode(bytes, length, &region, NULL),
                 length == V2_REGION_SIZE ? 0 : -EPROTO);
}

TEST(a_tag_that_is_no_version_is_refused)
{
    struct v2_region_image *image = make_image();
    struct v2_region region;

    for (uint32_t tag = 2; tag; tag *= 2) {
        image->tag = tag;
        CHECK_EQ(v2_region_decode(image, sizeof(*image), &region, NULL), -EPROTO);
    }
}

TEST(hostile_words_are_read_without_harm)
{
    struct v2_region_image *image = make_image();
    struct v2_region region;
    struct err err;

    image->device_count = UINT32_MAX;
    image->pid_count = UINT64_MAX;
    image->lock = (uint64_t)getpid(); /* held by a living process, for ever */
    image->slots[0].is_active = 77;
    memset(image->slots[0].uuid, 0xff, sizeof(image->slots[0].uuid)); /* neither UTF-8 nor ended */
    image->slots[1].is_active = 1;
    memcpy(image->slots[1].uuid, "a\033[2Jb\n", 8);
    memset(image->bitmap, 0xff, sizeof(image->bitmap));
    image->pids[0] = UINT64_MAX;
    image->pids[1] = (uint64_t)INT32_MAX + 1;
    image->pids[2] = INT32_MAX;
    CHECK_OK(v2_region_decode(image, sizeof(*image), &region, &err), &err);
    CHECK_EQ(region.device_count, UINT32_MAX);
    CHECK_EQ(region.active_count, 2);
    CHECK_EQ(strlen(region.devices[0].uuid), 63);
    CHECK_STR_EQ(region.devices[1].uuid, "a?[2Jb?");
    CHECK_EQ(region.pid_count, 1); /* the zeros are no pids either */
    CHECK_EQ(region.pids[0], INT32_MAX);
}

TEST(any_bytes_are_read_without_harm)
{
    static uint8_t bytes[V2_REGION_SIZE];
    struct v2_region region;

    srandom(1);
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)random();
        memset(bytes, 0, 4);
        bytes[0] = round & 1;
        CHECK_EQ(v2_region_decode(bytes, sizeof(bytes), &region, NULL), 0);
        CHECK(region.active_count <= V2_REGION_DEVICES_MAX);
        CHECK(region.pid_count <= V2_REGION_PIDS_MAX);
    }
}

TEST(version_one_is_read_by_its_own_offsets)
{
    static uint64_t words[V2_REGION_SIZE / 8];
    uint8_t *bytes = (uint8_t *)words;
    struct v2_region region;
    struct err err;

    memset(words, 0, sizeof(words));
    memcpy(bytes + 8 + 104, "GPU-old", 8);
    ((int32_t *)(void *)(bytes + 112 + 64))[0] = -5;
    ((uint32_t *)(void *)(bytes + 112 + 68))[0] = 40;
    words[(112 + 72) / 8] = 1ull << 30;
    ((uint32_t *)(void *)(bytes + 112 + 80))[0] = 2048;
    words[(112 + 88) / 8] = 1ull << 20;
    bytes[112 + 96] = 1;
    bytes[1672] = 1;
    words[1680 / 8] = NOW;
    words[1696 / 8] = 99;
    words[18080 / 8] = 1ull << 63;
    words[34472 / 8] = 12;
    CHECK_OK(v2_region_decode(words, sizeof(words), &region, &err), &err);
    CHECK_EQ(region.version, 1);
    CHECK_EQ(region.device_count, 1);
    CHECK_EQ(region.active_count, 1);
    CHECK_EQ(region.devices[0].slot, 1);
    CHECK_STR_EQ(region.devices[0].uuid, "GPU-old");
    CHECK_EQ(region.devices[0].available_cuda_cores, -5);
    CHECK_EQ(region.devices[0].up_limit_percent, 40);
    CHECK_EQ(region.devices[0].memory_limit_bytes, 1ull << 30);
    CHECK_EQ(region.devices[0].memory_used_bytes, 1ull << 20);
    CHECK_EQ(region.devices[0].total_cuda_cores, 2048);
    CHECK_EQ(region.heartbeat_unix_s, NOW);
    CHECK_EQ(region.pid_count, 1);
    CHECK_EQ(region.pids[0], 99);
    CHECK_EQ(region.creator_pid, 12);
}

TEST(health_is_a_heartbeat_of_the_last_seconds_and_not_of_the_future)
{
    static const struct {
        uint64_t beat, now, timeout;
        bool is_healthy;
    } cases[] = {
        {NOW, NOW, 2, true},      {NOW, NOW + 2, 2, true},
        {NOW, NOW + 3, 2, false}, {NOW + 1, NOW, 2, false},
        {0, NOW, 2, false},       {0, 0, 2, false},
        {NOW, 0, 2, false},       {UINT64_MAX, NOW, UINT64_MAX, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct v2_region region = {.heartbeat_unix_s = cases[i].beat};

        CHECK_EQ(v2_region_is_healthy(&region, cases[i].now, cases[i].timeout),
                 cases[i].is_healthy);
    }
}

TEST(a_head_is_written_without_the_pids)
{
    struct v2_region_image *image = make_image();
    int fd = make_file();
    struct err err;

    CHECK_OK(v2_region_write(fd, image, &err), &err);
    v2_region_set_slot(image, 0, &quota, NOW);
    CHECK_EQ(v2_region_set_pids(image, (const int32_t[]){9}, 1), 0);
    image->heartbeat_unix_s = NOW + 1;
    CHECK_OK(v2_region_write_head(fd, image, &err), &err);
    CHECK_EQ(word_at(fd, 2192), NOW + 1);
    CHECK_EQ(half_at(fd, 2184), 1);
    CHECK_EQ(word_at(fd, 2208), 0);
    CHECK_EQ(word_at(fd, 34976), 0);
    CHECK_EQ(ftruncate(fd, 3), 0);
    CHECK_OK(v2_region_write_head(fd, image, &err), &err);
    CHECK_EQ(word_at(fd, 8 + 72), 8ull << 30);
    CHECK_EQ(close(fd), 0);
}
