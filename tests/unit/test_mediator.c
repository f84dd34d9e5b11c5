#include "rm/mediator.h"

#include "abi/rm.h"
#include "tests/harness.h"
#include "tests/unit/fake_driver.h"

#include <errno.h>
#include <string.h>

#define CLIENT    0xc1d00001u
#define DEVICE    0x5c000001u
#define SUBDEVICE 0x5c000002u
#define MEMORY    0x5c000010u
#define GROUP     0x5c000020u
#define CHANNEL   0x5c000030u
#define MIB       (UINT64_C(1) << 20)

static struct fake_driver driver;

/* A client with a device of the given instance and its subdevice, as libcuda makes them. */
static void begin(uint32_t instance)
{
    char params[RM_DEVICE_PARAMS_SIZE] = {0};
    uint32_t client = 0, subdevice = SUBDEVICE;
    struct rm_alloc_48 device = {.client = CLIENT,
                                 .parent = CLIENT,
                                 .object = DEVICE,
                                 .class = RM_CLASS_DEVICE,
                                 .params = (uintptr_t)params};

    fake_driver_init(&driver);
    driver.next_handle = CLIENT;
    CHECK_EQ(fake_driver_alloc(&driver, 0, 0, RM_CLASS_ROOT_CLIENT, &client), RM_OK);
    memcpy(params, &instance, sizeof(instance));
    CHECK_EQ(fake_driver_alloc_with(&driver, &device), RM_OK);
    CHECK_EQ(fake_driver_alloc(&driver, CLIENT, DEVICE, RM_CLASS_SUBDEVICE, &subdevice), RM_OK);
    driver.calls = 0;
}

static void end(void)
{
    CHECK_EQ(driver.faults, 0);
    fake_driver_fini(&driver);
}

static uint32_t ask(uint64_t bytes, uint32_t attributes, bool is_short)
{
    _Alignas(8) char params[RM_MEMORY_PARAMS_SIZE] = {0};
    struct rm_alloc_48 call = {.client = CLIENT,
                               .parent = DEVICE,
                               .object = MEMORY,
                               .class = RM_CLASS_VIDEO_MEMORY,
                               .params = (uintptr_t)params};
    struct rm_alloc_32 other;

    memcpy(params + RM_MEMORY_PARAMS_BYTES, &bytes, sizeof(bytes));
    memcpy(params + RM_MEMORY_PARAMS_ATTRIBUTES, &attributes, sizeof(attributes));
    if (!is_short)
        return fake_driver_alloc_with(&driver, &call);
    memcpy(&other, &call, sizeof(other));
    other.params_size = RM_MEMORY_PARAMS_SIZE;
    other.status = 0xffff;
    CHECK_EQ(fake_driver_call(&driver, RM_NR_ALLOC, sizeof(other), &other), 0);
    return other.status;
}

TEST(video_memory_is_charged_until_it_is_freed_in_both_forms_of_the_call)
{
    begin(1);
    for (int is_short = 0; is_short < 2; is_short++) {
        CHECK_EQ(ask(10 * MIB, 0, is_short), RM_OK);
        CHECK_EQ(driver.used_bytes[1], 10 * MIB);
        CHECK_EQ(driver.used_bytes[0], 0);
        CHECK_EQ(fake_driver_free(&driver, CLIENT, MEMORY), RM_OK);
        CHECK_EQ(driver.used_bytes[1], 0);
    }
    end();
}

TEST(what_exceeds_the_quota_is_answered_with_no_memory_and_never_reaches_the_driver)
{
    begin(0);
    driver.limit_bytes[0] = 10 * MIB;
    CHECK_EQ(ask(10 * MIB + 1, 0, false), RM_NO_MEMORY);
    CHECK_EQ(ask(10 * MIB + 1, 0, true), RM_NO_MEMORY);
    CHECK_EQ(driver.calls, 0);
    CHECK_EQ(driver.used_bytes[0], 0);
    CHECK_EQ(driver.mediator.refusals, 2);
    CHECK_EQ(ask(10 * MIB, 0, false), RM_OK);
    end();
}

TEST(a_request_is_rounded_to_its_page_size_before_it_is_reserved)
{
    static const struct {
        uint32_t page_size;
        uint64_t reserved;
    } cases[] = {{0, 4096}, {1, 4096}, {2, 65536}, {3, 2 * MIB}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(0);
        CHECK_EQ(ask(1, cases[i].page_size << 23, false), RM_OK);
        CHECK_EQ(driver.most_bytes[0], cases[i].reserved);
        end();
    }
}

TEST(a_refusal_of_the_driver_gives_the_bytes_back)
{
    begin(0);
    driver.status = RM_GPU_LOST;
    CHECK_EQ(ask(MIB, 0, false), RM_GPU_LOST);
    CHECK_EQ(driver.used_bytes[0], 0);
    driver.status = RM_OK;
    driver.error = -ENODEV;
    CHECK_EQ(fake_driver_alloc_memory(&driver, CLIENT, DEVICE, MEMORY, MIB), UINT32_MAX);
    CHECK_EQ(driver.used_bytes[0], 0);
    end();
}

TEST(a_larger_grant_is_charged_or_where_it_does_not_fit_taken_back)
{
    begin(0);
    driver.extra_bytes = MIB;
    driver.limit_bytes[0] = 4 * MIB;
    CHECK_EQ(ask(2 * MIB, 0, false), RM_OK);
    CHECK_EQ(driver.used_bytes[0], 3 * MIB);
    CHECK_EQ(fake_driver_alloc_memory(&driver, CLIENT, DEVICE, MEMORY + 1, MIB), RM_NO_MEMORY);
    CHECK_EQ(driver.used_bytes[0], 3 * MIB);
    CHECK_EQ(driver.frees, 1);
    CHECK_EQ(driver.freed_object, MEMORY + 1);
    end();
}

TEST(system_memory_is_not_charged_and_memory_that_may_be_anywhere_by_what_it_became)
{
    begin(0);
    CHECK_EQ(ask(MIB, 1u << 25, false), RM_OK);
    CHECK_EQ(driver.most_bytes[0], 0);
    driver.location = 1;
    CHECK_EQ(ask(MIB, 3u << 25, false), RM_OK);
    CHECK_EQ(driver.used_bytes[0], 0);
    driver.location = RM_MEMORY_LOCATION_VIDEO;
    CHECK_EQ(ask(MIB, 3u << 25, false), RM_OK);
    CHECK_EQ(driver.used_bytes[0], MIB);
    end();
}

TEST(a_handle_that_the_driver_chose_is_known_when_it_is_freed)
{
    begin(0);
    driver.next_handle = 0xabc;
    CHECK_EQ(fake_driver_alloc_memory(&driver, CLIENT, DEVICE, 0, MIB), RM_OK);
    CHECK_EQ(fake_driver_free(&driver, CLIENT, 0xabc), RM_OK);
    CHECK_EQ(driver.used_bytes[0], 0);
    end();
}

TEST(freeing_a_device_a_client_or_closing_its_file_releases_what_was_below)
{
    for (int way = 0; way < 3; way++) {
        begin(2);
        CHECK_EQ(ask(MIB, 0, false), RM_OK);
        if (way == 0)
            CHECK_EQ(fake_driver_free(&driver, CLIENT, DEVICE), RM_OK);
        else if (way == 1)
            CHECK_EQ(fake_driver_free(&driver, CLIENT, CLIENT), RM_OK);
        else
            mediator_close_file(&driver.mediator, 1);
        CHECK_EQ(driver.used_bytes[2], 0);
        end();
    }
}

TEST(a_duplicate_costs_nothing_and_keeps_the_block_charged)
{
    struct rm_dup_object call = {.client = CLIENT,
                                 .parent = DEVICE,
                                 .object = MEMORY + 5,
                                 .source_client = CLIENT,
                                 .source_object = MEMORY};

    begin(0);
    CHECK_EQ(ask(MIB, 0, false), RM_OK);
    CHECK_EQ(fake_driver_call(&driver, RM_NR_DUP_OBJECT, sizeof(call), &call), 0);
    CHECK_EQ(driver.used_bytes[0], MIB);
    CHECK_EQ(fake_driver_free(&driver, CLIENT, MEMORY), RM_OK);
    CHECK_EQ(driver.used_bytes[0], MIB);
    CHECK_EQ(fake_driver_free(&driver, CLIENT, MEMORY + 5), RM_OK);
    CHECK_EQ(driver.used_bytes[0], 0);
    end();
}

TEST(a_wrapped_call_is_judged_like_the_call_in_it)
{
    _Alignas(8) char params[RM_MEMORY_PARAMS_SIZE] = {0};
    struct rm_alloc_48 call = {.client = CLIENT,
                               .parent = DEVICE,
                               .object = MEMORY,
                               .class = RM_CLASS_VIDEO_MEMORY,
                               .params = (uintptr_t)params};
    struct rm_transfer transfer = {
        .nr = RM_NR_ALLOC, .size = sizeof(call), .argument = (uintptr_t)&call};
    uint64_t bytes = 8 * MIB;

    begin(0);
    memcpy(params + RM_MEMORY_PARAMS_BYTES, &bytes, sizeof(bytes));
    driver.limit_bytes[0] = 10 * MIB;
    CHECK_EQ(fake_driver_call(&driver, RM_NR_TRANSFER, sizeof(transfer), &transfer), 0);
    CHECK_EQ(call.status, RM_OK);
    CHECK_EQ(driver.used_bytes[0], 8 * MIB);
    CHECK_EQ(fake_driver_call(&driver, RM_NR_TRANSFER, sizeof(transfer), &transfer), 0);
    CHECK_EQ(call.status, RM_NO_MEMORY);
    end();
}

TEST(the_older_calls_for_memory_are_judged_too)
{
    struct rm_alloc_memory memory = {.client = CLIENT,
                                     .parent = DEVICE,
                                     .object = MEMORY,
                                     .class = RM_CLASS_VIDEO_MEMORY,
                                     .limit = 3 * MIB - 1};
    _Alignas(8) char heap[RM_HEAP_CONTROL_SIZE] = {0};
    uint32_t words[] = {CLIENT, DEVICE, RM_HEAP_CONTROL_ALLOC_SIZE}, handle = MEMORY + 1;
    uint64_t bytes = 2 * MIB;

    begin(0);
    CHECK_EQ(fake_driver_call(&driver, RM_NR_ALLOC_MEMORY, sizeof(memory), &memory), 0);
    CHECK_EQ(driver.used_bytes[0], 3 * MIB);
    memcpy(heap, words, sizeof(words));
    memcpy(heap + RM_HEAP_CONTROL_HANDLE, &handle, sizeof(handle));
    memcpy(heap + RM_HEAP_CONTROL_BYTES, &bytes, sizeof(bytes));
    CHECK_EQ(fake_driver_call(&driver, RM_NR_HEAP_CONTROL, sizeof(heap), heap), 0);
    CHECK_EQ(driver.used_bytes[0], 5 * MIB);
    words[2] = RM_HEAP_CONTROL_FREE;
    memcpy(heap, words, sizeof(words));
    CHECK_EQ(fake_driver_call(&driver, RM_NR_HEAP_CONTROL, sizeof(heap), heap), 0);
    CHECK_EQ(driver.used_bytes[0], 3 * MIB);
    driver.limit_bytes[0] = 4 * MIB;
    memory.object = MEMORY + 2;
    CHECK_EQ(fake_driver_call(&driver, RM_NR_ALLOC_MEMORY, sizeof(memory), &memory), 0);
    CHECK_EQ(memory.status, RM_NO_MEMORY);
    end();
}

TEST(a_device_that_is_not_the_tenants_is_refused)
{
    char params[RM_DEVICE_PARAMS_SIZE] = {3};
    struct rm_alloc_48 call = {.client = CLIENT,
                               .parent = CLIENT,
                               .object = DEVICE + 1,
                               .class = RM_CLASS_DEVICE,
                               .params = (uintptr_t)params};

    begin(0);
    driver.is_refused[3] = true;
    CHECK_EQ(fake_driver_alloc_with(&driver, &call), RM_INSUFFICIENT_PERMISSIONS);
    CHECK_EQ(driver.calls, 0);
    end();
}

static uint32_t alloc_scheduled(uint32_t parent, uint32_t class, uint32_t handle, uint32_t engine)
{
    char params[136] = {0};
    struct rm_alloc_48 call = {.client = CLIENT,
                               .parent = parent,
                               .object = handle,
                               .class = class,
                               .params = (uintptr_t)params};

    memcpy(params + (class == RM_CLASS_CHANNEL_GROUP ? RM_GROUP_PARAMS_ENGINE
                                                     : RM_CHANNEL_PARAMS_ENGINE),
           &engine, sizeof(engine));
    return fake_driver_alloc_with(&driver, &call);
}

TEST(groups_and_channels_are_told_of_with_all_that_steers_them)
{
    const struct port_event *event = driver.events;

    begin(1);
    CHECK_EQ(alloc_scheduled(DEVICE, RM_CLASS_CHANNEL_GROUP, GROUP, 1), RM_OK);
    CHECK_EQ(alloc_scheduled(GROUP, RM_CLASS_CHANNEL_HOPPER, CHANNEL, 0), RM_OK);
    CHECK_EQ(driver.event_count, 2);
    CHECK_EQ(event[0].kind, PORT_GROUP);
    CHECK_EQ(event[0].file_id, 1);
    CHECK_EQ(event[0].device_instance, 1);
    CHECK_EQ(event[0].subdevice, SUBDEVICE);
    CHECK_EQ(event[0].group, GROUP);
    CHECK_EQ(event[0].engine, 1);
    CHECK_EQ(event[1].kind, PORT_CHANNEL);
    CHECK_EQ(event[1].group, GROUP);
    CHECK_EQ(event[1].channel, CHANNEL);
    CHECK_EQ(event[1].engine, 1);
    CHECK_EQ(fake_driver_free(&driver, CLIENT, GROUP), RM_OK);
    CHECK_EQ(driver.event_count, 4);
    CHECK_EQ(event[2].kind, PORT_FREED);
    CHECK_EQ(event[2].channel, CHANNEL);
    CHECK_EQ(event[3].kind, PORT_FREED);
    CHECK_EQ(event[3].group, GROUP);
    CHECK_EQ(event[3].channel, 0);
    end();
}

TEST(a_group_whose_slice_the_program_set_itself_is_told_of_again)
{
    uint64_t slice_us = 2048;
    struct rm_control call = {.client = CLIENT,
                              .object = GROUP,
                              .command = RM_CONTROL_SET_TIMESLICE,
                              .params = (uintptr_t)&slice_us,
                              .params_size = sizeof(slice_us)};

    begin(0);
    CHECK_EQ(alloc_scheduled(DEVICE, RM_CLASS_CHANNEL_GROUP, GROUP, 1), RM_OK);
    CHECK_EQ(fake_driver_call(&driver, RM_NR_CONTROL, sizeof(call), &call), 0);
    CHECK_EQ(driver.event_count, 2);
    CHECK_EQ(driver.events[1].group, GROUP);
    end();
}

TEST(only_channels_of_the_compute_engine_are_listed)
{
    struct mediator_channel channels[8];

    begin(1);
    CHECK_EQ(alloc_scheduled(DEVICE, RM_CLASS_CHANNEL_GROUP, GROUP, 1), RM_OK);
    CHECK_EQ(alloc_scheduled(GROUP, RM_CLASS_CHANNEL_HOPPER, CHANNEL, 0), RM_OK);
    CHECK_EQ(alloc_scheduled(DEVICE, RM_CLASS_CHANNEL_GROUP, GROUP + 1, 11), RM_OK);
    CHECK_EQ(alloc_scheduled(GROUP + 1, RM_CLASS_CHANNEL_HOPPER, CHANNEL + 1, 0), RM_OK);
    CHECK_EQ(mediator_list_channels(&driver.mediator, channels, 8), 1);
    CHECK_EQ(channels[0].channel, CHANNEL);
    CHECK_EQ(channels[0].subdevice, SUBDEVICE);
    CHECK_EQ(channels[0].device_instance, 1);
    end();
}

struct fb_list {
    uint32_t count;
    struct rm_fb_info infos[128];
};

static int get_fb_info(struct fb_list *list, uint32_t size)
{
    struct rm_control call = {.client = CLIENT,
                              .object = SUBDEVICE,
                              .command = RM_CONTROL_FB_GET_INFO_V2,
                              .params = (uintptr_t)list,
                              .params_size = size};

    return fake_driver_call(&driver, RM_NR_CONTROL, sizeof(call), &call);
}

TEST(sizes_of_the_frame_buffer_become_the_quota)
{
    static const uint32_t indexes[] = {7, 8, 9, 0x20, 0x16, 0x10};
    struct fb_list list = {.count = 6};

    begin(0);
    driver.limit_bytes[0] = 1024 * MIB;
    CHECK_EQ(ask(24 * MIB, 0, false), RM_OK);
    for (int i = 0; i < 6; i++)
        list.infos[i].index = indexes[i];
    CHECK_EQ(get_fb_info(&list, sizeof(list)), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(list.infos[i].kib, 1024 * 1024);
    CHECK_EQ(list.infos[4].kib, 1000 * 1024);
    CHECK_EQ(list.infos[5].kib, FAKE_CARD_KIB);
    end();
}

TEST(sizes_of_the_frame_buffer_are_never_made_larger)
{
    struct fb_list list = {.count = 2, .infos = {{8, 0}, {0x16, 0}}};

    begin(0);
    driver.limit_bytes[0] = UINT64_C(1) << 50;
    CHECK_EQ(get_fb_info(&list, sizeof(list)), 0);
    CHECK_EQ(list.infos[0].kib, FAKE_CARD_KIB);
    CHECK_EQ(list.infos[1].kib, FAKE_CARD_KIB / 2);
    end();
}

TEST(a_list_that_says_it_is_longer_than_it_is_is_left_alone_and_counted)
{
    struct fb_list list = {.count = 100, .infos = {{8, 0}}};

    begin(0);
    driver.limit_bytes[0] = MIB;
    CHECK_EQ(get_fb_info(&list, 4 + 8), 0);
    CHECK_EQ(list.infos[0].kib, FAKE_CARD_KIB);
    CHECK_EQ(driver.mediator.unparsed, 1);
    end();
}

TEST(the_older_list_behind_a_pointer_is_patched_too)
{
    struct rm_fb_info infos[2] = {{8, 0}, {0x16, 0}};
    struct {
        uint32_t count, reserved;
        uint64_t address;
    } params = {2, 0, (uintptr_t)infos};
    struct rm_control call = {.client = CLIENT,
                              .object = SUBDEVICE,
                              .command = RM_CONTROL_FB_GET_INFO,
                              .params = (uintptr_t)&params,
                              .params_size = sizeof(params)};

    begin(0);
    driver.limit_bytes[0] = 512 * MIB;
    CHECK_EQ(fake_driver_call(&driver, RM_NR_CONTROL, sizeof(call), &call), 0);
    CHECK_EQ(infos[0].kib, 512 * 1024);
    CHECK_EQ(infos[1].kib, 512 * 1024);
    end();
}

TEST(unknown_sizes_of_known_calls_are_passed_on_and_counted)
{
    char args[256] = {0};

    begin(0);
    CHECK_EQ(fake_driver_call(&driver, RM_NR_ALLOC, 40, args), 0);
    CHECK_EQ(fake_driver_call(&driver, RM_NR_FREE, 20, args), 0);
    CHECK_EQ(fake_driver_call(&driver, 0x5d, 20, args), 0);
    CHECK_EQ(driver.calls, 3);
    CHECK_EQ(driver.mediator.unparsed, 2);
    end();
}

TEST(memory_that_cannot_be_read_is_the_drivers_to_complain_of)
{
    begin(0);
    driver.is_unreadable = true;
    driver.error = -EFAULT;
    CHECK_EQ(fake_driver_alloc_memory(&driver, CLIENT, DEVICE, MEMORY, MIB), UINT32_MAX);
    CHECK_EQ(driver.calls, 1);
    CHECK_EQ(driver.used_bytes[0], 0);
    end();
}

TEST(a_child_knows_what_it_inherited_and_is_not_charged_for_it)
{
    struct mediator_channel channels[8];

    begin(0);
    CHECK_EQ(ask(MIB, 0, false), RM_OK);
    CHECK_EQ(alloc_scheduled(DEVICE, RM_CLASS_CHANNEL_GROUP, GROUP, 1), RM_OK);
    CHECK_EQ(alloc_scheduled(GROUP, RM_CLASS_CHANNEL_HOPPER, CHANNEL, 0), RM_OK);
    mediator_begin_as_child(&driver.mediator);
    driver.used_bytes[0] = 0;
    driver.event_count = 0;
    mediator_tell_all(&driver.mediator);
    CHECK_EQ(driver.event_count, 0);
    CHECK_EQ(mediator_list_channels(&driver.mediator, channels, 8), 0);
    CHECK_EQ(fake_driver_alloc_memory(&driver, CLIENT, DEVICE, MEMORY + 1, MIB), RM_OK);
    CHECK_EQ(driver.used_bytes[0], MIB);
    CHECK_EQ(fake_driver_free(&driver, CLIENT, CLIENT), RM_OK);
    CHECK_EQ(driver.used_bytes[0], 0);
    end();
}
