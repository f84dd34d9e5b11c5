#include "tests/harness.h"
#include "tests/unit/fake_nvml.h"

#include "hypervisor/hardware.h"
#include "hypervisor/inventory.h"
#include "utils/clock.h"
#include "utils/log.h"

#include <string.h>

#define RETRY_NS (10 * NS_PER_SEC)

static struct inventory *inventory;
static struct hardware_reading reading;
static uint64_t now_ns;

/* Two cards: GPU-a and GPU-b. */
static void start(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    fake_nvml_prepare();
    fake_nvml.lost_mask = 0;
    fake_nvml.device_count = 2;
    memset(&reading, 0, sizeof(reading));
    now_ns = NS_PER_SEC;
    CHECK_OK(inventory_new(&inventory, RETRY_NS, NULL), NULL);
}

static void stop(void)
{
    inventory_free(inventory);
    CHECK_EQ(fake_nvml.open_count, 0);
}

static void look(uint64_t after_ns)
{
    now_ns += after_ns;
    inventory_look(inventory, now_ns, &reading);
}

static bool is_known(int place)
{
    return reading.gpus[place].card.memory_bytes != TELEMETRY_UNKNOWN &&
           reading.gpus[place].has_processes;
}

TEST(cards_are_read_with_their_processes)
{
    start();
    look(0);
    CHECK(reading.has_nvml);
    CHECK_STR_EQ(reading.driver_version, "580.159.04");
    CHECK_EQ(reading.gpu_count, 2);
    CHECK_STR_EQ(reading.gpus[0].uuid, "GPU-a");
    CHECK_STR_EQ(reading.gpus[0].model, "NVIDIA H100");
    CHECK_STR_EQ(reading.gpus[1].uuid, "GPU-b");
    CHECK_EQ(reading.gpus[1].nvml_index, 1);
    CHECK_EQ(reading.gpus[1].process_count, 2);
    CHECK(is_known(0) && is_known(1) && !reading.gpus[0].is_lost);
    stop();
}

TEST(without_nvml_nothing_is_known_and_it_is_tried_again)
{
    start();
    fake_nvml.is_absent = true;
    look(0);
    CHECK(!reading.has_nvml);
    CHECK_EQ(reading.gpu_count, 0);
    CHECK_STR_EQ(reading.driver_version, "");
    fake_nvml.is_absent = false;
    look(RETRY_NS - 1);
    CHECK(!reading.has_nvml); /* not tried yet */
    look(1);
    CHECK(reading.has_nvml);
    CHECK_EQ(reading.gpu_count, 2);
    stop();
}

TEST(a_lost_card_is_lost_and_the_others_are_not)
{
    start();
    look(0);
    fake_nvml.failing = "nvmlDeviceGetMemoryInfo*";
    fake_nvml.failure = NVML_ERROR_GPU_IS_LOST;
    fake_nvml.failing_device = 1;
    look(NS_PER_SEC);
    CHECK(reading.gpus[1].is_lost && !is_known(1));
    CHECK_EQ(reading.gpus[1].process_count, 0);
    CHECK(!reading.gpus[0].is_lost && is_known(0));
    fake_nvml.failing = NULL;
    look(NS_PER_SEC);
    CHECK(reading.gpus[1].is_lost && !is_known(1)); /* as far as this NVML goes */
    look(RETRY_NS);
    CHECK(!reading.gpus[1].is_lost && is_known(1));
    stop();
}

TEST(a_lost_card_is_looked_for_in_a_new_nvml_less_and_less_often)
{
    int before;

    start();
    look(0);
    before = fake_nvml.opened_count;
    fake_nvml.lost_mask = 1u << 1;
    fake_nvml.failing = "nvmlDeviceGetMemoryInfo*";
    fake_nvml.failure = NVML_ERROR_GPU_IS_LOST;
    fake_nvml.failing_device = 1;
    look(NS_PER_SEC);
    CHECK(reading.gpus[1].is_lost);
    for (int i = 1; i < 69; i++) {
        look(NS_PER_SEC);
        CHECK(reading.gpus[1].is_lost && !reading.gpus[0].is_lost && is_known(0));
    }
    CHECK_EQ(fake_nvml.opened_count - before, 2); /* after 10 s, and 20 s after that; not 40 */
    fake_nvml.lost_mask = 0;
    fake_nvml.failing = NULL;
    look(NS_PER_SEC);
    CHECK(reading.gpus[1].is_lost); /* this NVML does not have it */
    look(NS_PER_SEC);
    CHECK(!reading.gpus[1].is_lost && is_known(1));
    before = fake_nvml.opened_count;
    for (int i = 0; i < 100; i++)
        look(NS_PER_SEC);
    CHECK_EQ(fake_nvml.opened_count, before);
    stop();
}

TEST(a_card_that_nvml_does_not_list_any_more_is_lost)
{
    start();
    look(0);
    fake_nvml.device_count = 1;
    fake_nvml.answer = NVML_ERROR_DRIVER_NOT_LOADED;
    look(NS_PER_SEC);
    fake_nvml.answer = NVML_SUCCESS;
    look(NS_PER_SEC);
    CHECK_EQ(reading.gpu_count, 2);
    CHECK(!reading.gpus[0].is_lost && reading.gpus[1].is_lost);
    stop();
}

TEST(cards_keep_their_places_though_nvml_counts_anew)
{
    start();
    fake_nvml.uuids[0] = "GPU-x";
    fake_nvml.uuids[1] = "GPU-y";
    look(0);
    fake_nvml.uuids[0] = "GPU-y";
    fake_nvml.uuids[1] = "GPU-x";
    fake_nvml.answer = NVML_ERROR_UNINITIALIZED;
    look(NS_PER_SEC);
    fake_nvml.answer = NVML_SUCCESS;
    look(NS_PER_SEC);
    CHECK_STR_EQ(reading.gpus[0].uuid, "GPU-x");
    CHECK_EQ(reading.gpus[0].nvml_index, 1);
    CHECK_EQ(reading.gpus[1].nvml_index, 0);
    CHECK(hardware_find(&reading, "GPU-y") == &reading.gpus[1]);
    CHECK(!hardware_find(&reading, "GPU-z"));
    stop();
}

TEST(a_driver_that_goes_and_comes_is_followed)
{
    start();
    look(0);
    fake_nvml.answer = NVML_ERROR_DRIVER_NOT_LOADED;
    look(NS_PER_SEC);
    CHECK(!reading.has_nvml);
    CHECK_EQ(fake_nvml.open_count, 0);
    CHECK_EQ(reading.gpu_count, 2); /* still known by name */
    CHECK(!is_known(0) && !reading.gpus[0].is_lost);
    fake_nvml.start = NVML_ERROR_DRIVER_NOT_LOADED;
    look(NS_PER_SEC);
    fake_nvml.start = NVML_SUCCESS;
    fake_nvml.answer = NVML_SUCCESS;
    look(RETRY_NS);
    CHECK(reading.has_nvml && is_known(0) && is_known(1));
    stop();
}

TEST(more_cards_than_there_are_places_are_left_out)
{
    start();
    fake_nvml.device_count = 40; /* GPU-a, and the others call themselves GPU-b */
    look(0);
    CHECK_EQ(reading.gpu_count, 2);
    stop();
}
