#include "rm/frame_buffer.h"

#include "abi/rm.h"
#include "tests/harness.h"
#include "tests/unit/fake_driver.h"

#include <string.h>

#define CLIENT    0xc1d00001u
#define DEVICE    0x5c000001u
#define SUBDEVICE 0x5c000002u
#define MIB       (UINT64_C(1) << 20)

static struct fake_driver driver;

struct fb_list {
    uint32_t count;
    struct rm_fb_info infos[128];
};

static void add_device(uint32_t device, uint32_t instance)
{
    char params[RM_DEVICE_PARAMS_SIZE] = {0};
    struct rm_alloc_48 call = {.client = CLIENT,
                               .parent = CLIENT,
                               .object = device,
                               .class = RM_CLASS_DEVICE,
                               .params = (uintptr_t)params};

    memcpy(params, &instance, sizeof(instance));
    CHECK_EQ(fake_driver_alloc_with(&driver, &call), RM_OK);
}

static void add_subdevice(uint32_t device)
{
    uint32_t subdevice = SUBDEVICE;

    CHECK_EQ(fake_driver_alloc(&driver, CLIENT, device, RM_CLASS_SUBDEVICE, &subdevice), RM_OK);
}

/* A client with device 0 and its subdevice; 0 and 1 have limits that differ. */
static void begin(void)
{
    uint32_t client = 0;

    fake_driver_init(&driver);
    driver.limit_bytes[0] = 512 * MIB;
    driver.limit_bytes[1] = 256 * MIB;
    driver.next_handle = CLIENT;
    CHECK_EQ(fake_driver_alloc(&driver, 0, 0, RM_CLASS_ROOT_CLIENT, &client), RM_OK);
    add_device(DEVICE, 0);
    add_subdevice(DEVICE);
}

static void end(void)
{
    CHECK_EQ(driver.faults, 0);
    fake_driver_fini(&driver);
}

/* What an object's total size is told as. */
static uint32_t tell_kib(uint32_t object, bool is_direct)
{
    struct fb_list list = {.count = 1, .infos = {{RM_FB_TOTAL, 0}}};
    struct rm_control call = {.client = CLIENT,
                              .object = object,
                              .command = RM_CONTROL_FB_GET_INFO_V2,
                              .params = (uintptr_t)&list,
                              .params_size = sizeof(list)};

    driver.port.is_direct = is_direct;
    CHECK_EQ(fake_driver_call(&driver, RM_NR_CONTROL, sizeof(call), &call), 0);
    return list.infos[0].kib;
}

TEST(an_object_is_looked_up_once_and_its_figures_are_those_of_each_call)
{
    for (int is_direct = 0; is_direct < 2; is_direct++) {
        uint32_t locks;

        begin();
        CHECK_EQ(tell_kib(SUBDEVICE, is_direct), 512 * 1024);
        locks = driver.locks;
        driver.limit_bytes[0] = 128 * MIB;
        CHECK_EQ(tell_kib(SUBDEVICE, is_direct), 128 * 1024);
        CHECK_EQ(driver.locks, locks);
        end();
    }
}

TEST(a_handle_that_is_used_again_on_another_device_is_told_its_sizes)
{
    for (int is_above = 0; is_above < 2; is_above++) {
        begin();
        CHECK_EQ(tell_kib(SUBDEVICE, true), 512 * 1024);
        CHECK_EQ(fake_driver_free(&driver, CLIENT, is_above ? DEVICE : SUBDEVICE), RM_OK);
        CHECK_EQ(tell_kib(SUBDEVICE, true), FAKE_CARD_KIB); /* nothing is known of it */
        add_device(DEVICE + 8, 1);
        add_subdevice(DEVICE + 8);
        CHECK_EQ(tell_kib(SUBDEVICE, true), 256 * 1024);
        end();
    }
}

TEST(a_handle_that_the_driver_gave_out_anew_without_our_seeing_it_freed_is_told_its_sizes)
{
    begin();
    CHECK_EQ(tell_kib(DEVICE, true), 512 * 1024);
    add_device(DEVICE, 1);
    CHECK_EQ(tell_kib(DEVICE, true), 256 * 1024);
    end();
}

TEST(a_duplicate_in_the_place_of_a_known_object_is_told_its_sizes)
{
    struct rm_dup_object call = {.client = CLIENT,
                                 .parent = CLIENT,
                                 .object = SUBDEVICE,
                                 .source_client = CLIENT,
                                 .source_object = DEVICE + 8};

    begin();
    CHECK_EQ(tell_kib(SUBDEVICE, true), 512 * 1024);
    add_device(DEVICE + 8, 1);
    CHECK_EQ(fake_driver_call(&driver, RM_NR_DUP_OBJECT, sizeof(call), &call), 0);
    CHECK_EQ(tell_kib(SUBDEVICE, true), 256 * 1024);
    end();
}

TEST(what_went_with_its_client_or_its_file_is_not_known_any_more)
{
    for (int way = 0; way < 2; way++) {
        begin();
        CHECK_EQ(tell_kib(SUBDEVICE, true), 512 * 1024);
        if (way == 0)
            CHECK_EQ(fake_driver_free(&driver, CLIENT, CLIENT), RM_OK);
        else
            mediator_close_file(&driver.mediator, 1);
        CHECK_EQ(tell_kib(SUBDEVICE, true), FAKE_CARD_KIB);
        end();
    }
}

TEST(a_child_knows_the_devices_of_what_it_inherited_or_nothing)
{
    begin();
    CHECK_EQ(tell_kib(SUBDEVICE, true), 512 * 1024);
    mediator_begin_as_child(&driver.mediator);
    CHECK_EQ(tell_kib(SUBDEVICE, true), 512 * 1024);
    mediator_fini(&driver.mediator);
    mediator_init(&driver.mediator, &driver.port);
    CHECK_EQ(tell_kib(SUBDEVICE, true), FAKE_CARD_KIB);
    end();
}

TEST(what_needs_the_lock_is_not_noted_at_once)
{
    struct fb_list list = {.count = 1, .infos = {{RM_FB_TOTAL, FAKE_CARD_KIB}}};
    struct rm_control call = {.client = CLIENT,
                              .object = SUBDEVICE,
                              .command = RM_CONTROL_FB_GET_INFO_V2,
                              .params = (uintptr_t)&list,
                              .params_size = sizeof(list)};
    struct rm_control slice = {.command = RM_CONTROL_SET_TIMESLICE};
    uint32_t locks;

    begin();
    driver.port.is_direct = true;
    locks = driver.locks;
    CHECK(!mediator_note_at_once(&driver.mediator, &slice));
    CHECK(!mediator_note_at_once(&driver.mediator, &call));
    CHECK_EQ(list.infos[0].kib, FAKE_CARD_KIB);
    CHECK_EQ(driver.locks, locks);
    mediator_note_control(&driver.mediator, &call);
    CHECK_EQ(list.infos[0].kib, 512 * 1024);
    list.infos[0].kib = FAKE_CARD_KIB;
    locks = driver.locks;
    CHECK(mediator_note_at_once(&driver.mediator, &call));
    CHECK_EQ(list.infos[0].kib, 512 * 1024);
    CHECK_EQ(driver.locks, locks);
    end();
}

TEST(only_sizes_and_slices_that_the_driver_accepted_mean_anything)
{
    CHECK(mediator_heeds(&(struct rm_control){.command = RM_CONTROL_FB_GET_INFO}));
    CHECK(mediator_heeds(&(struct rm_control){.command = RM_CONTROL_FB_GET_INFO_V2}));
    CHECK(mediator_heeds(&(struct rm_control){.command = RM_CONTROL_SET_TIMESLICE}));
    CHECK(!mediator_heeds(&(struct rm_control){.command = RM_CONTROL_GET_TIMESLICE}));
    CHECK(!mediator_heeds(
        &(struct rm_control){.command = RM_CONTROL_FB_GET_INFO_V2, .status = RM_INVALID_ARGUMENT}));
}

TEST(a_list_of_any_length_and_alignment_is_patched_in_its_place)
{
    static _Alignas(8) char memory[1 + 4 + 300 * 8];
    const uint32_t count = 300;
    struct rm_fb_info info;

    for (int is_direct = 0; is_direct < 2; is_direct++) {
        char *list = memory + 1;
        struct rm_control call = {.client = CLIENT,
                                  .object = SUBDEVICE,
                                  .command = RM_CONTROL_FB_GET_INFO_V2,
                                  .params = (uintptr_t)list,
                                  .params_size = 4 + 300 * 8};

        begin();
        driver.port.is_direct = is_direct;
        memcpy(list, &count, sizeof(count));
        for (uint32_t i = 0; i < count; i++) {
            info = (struct rm_fb_info){.index = i, .kib = FAKE_CARD_KIB};
            memcpy(list + 4 + i * sizeof(info), &info, sizeof(info));
        }
        mediator_note_control(&driver.mediator, &call);
        for (uint32_t i = 0; i < count; i++) {
            bool is_size = i == 7 || i == 8 || i == 9 || i == 0x16 || i == 0x20;

            memcpy(&info, list + 4 + i * sizeof(info), sizeof(info));
            CHECK_EQ(info.index, i);
            CHECK_EQ(info.kib, is_size ? 512 * 1024 : FAKE_CARD_KIB);
        }
        end();
    }
}

TEST(a_direct_port_is_never_asked_for_memory)
{
    struct fb_list list = {.count = 1, .infos = {{RM_FB_TOTAL, FAKE_CARD_KIB}}};
    struct rm_fb_info other = {RM_FB_TOTAL, FAKE_CARD_KIB};
    struct {
        uint32_t count, reserved;
        uint64_t address;
    } params = {1, 0, (uintptr_t)&other};
    struct rm_control call = {.client = CLIENT,
                              .object = SUBDEVICE,
                              .command = RM_CONTROL_FB_GET_INFO_V2,
                              .params = (uintptr_t)&list,
                              .params_size = sizeof(list)};

    begin();
    driver.port.is_direct = true;
    driver.is_unreadable = true;
    mediator_note_control(&driver.mediator, &call);
    CHECK_EQ(list.infos[0].kib, 512 * 1024);
    call.command = RM_CONTROL_FB_GET_INFO;
    call.params = (uintptr_t)&params;
    call.params_size = sizeof(params);
    CHECK(mediator_note_at_once(&driver.mediator, &call));
    CHECK_EQ(other.kib, 512 * 1024);
    end();
}

TEST(a_list_at_an_address_that_cannot_be_is_left_alone_and_counted)
{
    struct rm_control call = {.client = CLIENT,
                              .object = SUBDEVICE,
                              .command = RM_CONTROL_FB_GET_INFO_V2,
                              .params = 8,
                              .params_size = 1028};

    begin();
    driver.port.is_direct = true;
    mediator_note_control(&driver.mediator, &call);
    CHECK_EQ(driver.mediator.unparsed, 1);
    end();
}
