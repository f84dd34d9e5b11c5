#include "tests/harness.h"
#include "tests/unit/fake_machine.h"

#include "supervisor/gpus.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>

static struct gpus *gpus;

TEST(without_a_driver_it_says_so)
{
    struct err err;

    fake_machine_start(0, false);
    CHECK_EQ(gpus_open(&gpus, &err), -ENODEV);
    CHECK(strstr(err.text, "no GPU"));
    fake_machine_stop();
    gpus_close(NULL);
}

TEST(gpus_are_in_the_order_of_the_bus_with_what_the_driver_says)
{
    struct err err;

    fake_machine_start(3, false);
    CHECK_OK(gpus_open(&gpus, &err), &err);
    CHECK_EQ(gpus_count(gpus), 3);
    CHECK_STR_EQ(gpus_driver_version(gpus), "580.159.04");
    for (uint32_t i = 0; i < 3; i++) {
        const struct gpus_card *card = gpus_card(gpus, i);

        CHECK(str_starts_with(card->uuid, "GPU-"));
        CHECK_EQ(card->nvml_index, i);
        CHECK_EQ(card->memory_bytes, UINT64_C(1) << 30);
        CHECK(!i || strcmp(card->pci_bus_id, gpus_card(gpus, i - 1)->pci_bus_id) > 0);
        CHECK(!i || strcmp(card->uuid, gpus_card(gpus, i - 1)->uuid) != 0);
    }
    CHECK(gpus_card(gpus, 3) == NULL);
    CHECK(gpus_card(gpus, UINT32_MAX) == NULL);
    gpus_close(gpus);
    fake_machine_stop();
}

TEST(a_gpu_that_does_not_answer_is_left_out)
{
    fake_machine_start(3, false);
    fake_machine_set_fault("gpu-lost=1");
    CHECK_EQ(gpus_open(&gpus, NULL), 0);
    CHECK_EQ(gpus_count(gpus), 2);
    CHECK_EQ(gpus_card(gpus, 1)->minor, 2);
    gpus_close(gpus);
    fake_machine_set_fault("gpu-missing=0");
    CHECK_EQ(gpus_open(&gpus, NULL), 0);
    CHECK_EQ(gpus_count(gpus), 1);
    gpus_close(gpus);
    fake_machine_set_fault("gpu-lost=2");
    CHECK_EQ(gpus_open(&gpus, NULL), -ENODEV);
    fake_machine_stop();
}

TEST(nothing_is_left_open)
{
    fake_machine_start(2, false);
    CHECK_EQ(gpus_open(&gpus, NULL), 0);
    CHECK(list_is_empty(&fake_machine()->files));
    gpus_close(gpus);
    fake_machine_stop();
}

TEST(a_position_that_is_none_has_no_figures)
{
    uint32_t percent = 7;
    uint64_t value = 7;

    fake_machine_start(1, false);
    CHECK_EQ(gpus_open(&gpus, NULL), 0);
    CHECK_STR_EQ(gpus_name(gpus, 5), "GPU");
    CHECK_EQ(gpus_process_memory(gpus, 5, 1, &value), -ENOTSUP);
    CHECK_EQ(gpus_utilisation(gpus, UINT32_MAX, &percent, &value), -ENOTSUP);
    CHECK(percent == 7 && value == 7);
    gpus_close(gpus);
    fake_machine_stop();
}
