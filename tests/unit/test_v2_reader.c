/*
 * The layout once more, by a reader of its own: v2_reader.py knows nothing of our structs.
 */
#include "hypervisor/v2_region.h"

#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOW 1700000000u

TEST(an_independent_reader_finds_what_was_written)
{
    static struct v2_region_image image;
    const struct v2_region_quota first = {.uuid = "GPU-a",
                                          .memory_limit_bytes = 0x1122334455667788,
                                          .memory_used_bytes = 0x99aabbccdd},
                                 second = {.uuid = "GPU-b", .memory_limit_bytes = 5};
    char path[] = "/tmp/vgXXXXXX", command[512], text[1024];
    int fd = mkstemp(path);
    struct err err;
    FILE *reader;

    CHECK(fd >= 0);
    v2_region_init(&image, 321, NOW);
    v2_region_set_slot(&image, 0, &first, NOW);
    v2_region_set_slot(&image, 15, &second, NOW + 1);
    CHECK_EQ(v2_region_set_pids(&image, (const int32_t[]){11, 22, 33}, 3), 0);
    CHECK_EQ(v2_region_set_pids(&image, (const int32_t[]){11, 33}, 2), 0);
    CHECK_OK(v2_region_write(fd, &image, &err), &err);
    (void)snprintf(command, sizeof(command), "python3 '%s' '%s' 2>&1", V2_READER, path);
    reader = popen(command, "r");
    CHECK(reader != NULL);
    CHECK(fgets(text, sizeof(text), reader) != NULL);
    CHECK_EQ(pclose(reader), 0);
    CHECK_STR_EQ(text, "{\"tag\":1,\"devices\":["
                       "[0,\"GPU-a\",100,1234605616436508552,0,659994430685,10.0,100.0,100.0,"
                       "1700000000.0],"
                       "[15,\"GPU-b\",100,5,0,0,10.0,100.0,100.0,1700000001.0]],"
                       "\"count\":2,\"heartbeat\":1700000000,\"lock\":0,\"pids\":[11,33],"
                       "\"creator\":321}\n");
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(unlink(path), 0);
}
