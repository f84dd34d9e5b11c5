#include "sim/card.h"

#include "abi/rm.h"
#include "sim/cuda_calls.h"
#include "sim/wire_call.h"
#include "utils/str.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define CUDA_VERSION      13000
#define BYTES_PER_KIB     1024
#define FB_PAIRS          3
#define PAGE_BYTES_MAX    2147483647
#define SHARED_BYTES      49152
#define CONSTANT_BYTES    65536
#define CLOCK_KHZ         1980000
#define MEMORY_CLOCK_KHZ  2619000
#define BUS_BITS          5120
#define L2_BYTES          52428800
#define REGISTERS         65536
#define COPY_ENGINES      3
#define GRID_X            2147483647
#define GRID_YZ           65535
#define BLOCK_XY          1024
#define BLOCK_Z           64
#define WARP              32
#define PROCESSOR_THREADS 2048
#define TEXTURE_ALIGNMENT 512

static struct {
    pthread_once_t once;
    bool is_started;
    CUresult result;
    struct session session;
    uint32_t count;
    struct card cards[VISIBLE_MAX];
} state = {.once = PTHREAD_ONCE_INIT, .result = CUDA_ERROR_NOT_INITIALIZED};

CUresult card_result(uint32_t rm_status)
{
    switch (rm_status) {
    case RM_OK:
        return CUDA_SUCCESS;
    case RM_NO_MEMORY:
        return CUDA_ERROR_OUT_OF_MEMORY;
    case RM_INSUFFICIENT_PERMISSIONS:
        return CUDA_ERROR_NOT_PERMITTED;
    case RM_NOT_SUPPORTED:
        return CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_UNKNOWN;
    }
}

/* --- start ------------------------------------------------------------------------------------ */

/* A GPU that is refused to us is one that is not there. */
static bool attach(struct card *card, const struct wire_gpu *info)
{
    uint8_t device_params[RM_DEVICE_PARAMS_SIZE] = {0},
            subdevice_params[RM_SUBDEVICE_PARAMS_SIZE] = {0};
    struct session_object device = {state.session.client, RM_CLASS_DEVICE, device_params,
                                    sizeof(device_params)};
    struct session_object subdevice = {0, RM_CLASS_SUBDEVICE, subdevice_params,
                                       sizeof(subdevice_params)};

    *card = (struct card){.info = *info, .lock = PTHREAD_MUTEX_INITIALIZER};
    card->node_fd = session_open_gpu(info->minor);
    if (card->node_fd < 0)
        return false;
    memcpy(device_params, &info->index, sizeof(info->index));
    if (session_alloc(&state.session, &device, &card->device) == RM_OK) {
        subdevice.parent = card->device;
        if (session_alloc(&state.session, &subdevice, &card->subdevice) == RM_OK)
            return true;
        session_free(&state.session, card->device);
    }
    attr_close(&card->node_fd);
    return false;
}

static void detach(struct card *card)
{
    session_free(&state.session, card->device);
    attr_close(&card->node_fd);
}

/* Puts those that the program is to see in its order, and lets go of the others. */
static void choose(struct card *cards, uint32_t count)
{
    const char *uuids[VISIBLE_MAX];
    uint32_t order[VISIBLE_MAX];
    bool is_chosen[VISIBLE_MAX] = {false};

    for (uint32_t i = 0; i < count; i++)
        uuids[i] = cards[i].info.uuid;
    state.count = visible_parse(order, getenv("CUDA_VISIBLE_DEVICES"), uuids, count);
    for (uint32_t i = 0; i < state.count; i++) {
        state.cards[i] = cards[order[i]];
        is_chosen[order[i]] = true;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_chosen[i])
            detach(&cards[i]);
    }
}

static void *wait_for_ever(void *argument)
{
    for (;;)
        (void)poll(NULL, 0, -1); /* woken by a signal, it waits on */
    return argument;
}

/*
 * The driver's library has a thread that waits for events before it opens the driver. Ours has
 * nothing to tell it, but a process with two threads is another thing to the kernel: to enlarge its
 * table of descriptors takes 30 ms.
 */
static void start_event_thread(void)
{
    sigset_t all, old;
    pthread_t thread;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the program's */
    if (pthread_create(&thread, NULL, wait_for_ever, NULL) == 0)
        (void)pthread_detach(thread);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static CUresult find_cards(void)
{
    static struct wire_gpu infos[VISIBLE_MAX];
    static struct card cards[VISIBLE_MAX];
    int info_count;
    uint32_t count = 0;

    start_event_thread();
    if (session_open(&state.session) < 0)
        return CUDA_ERROR_NO_DEVICE;
    info_count = wire_call_query(WIRE_QUERY_GPUS, 0, infos, sizeof(infos));
    for (int i = 0; i < info_count; i++)
        count += attach(&cards[count], &infos[i]);
    choose(cards, count);
    if (state.count > 0)
        return CUDA_SUCCESS;
    session_close(&state.session);
    return CUDA_ERROR_NO_DEVICE;
}

static void start(void)
{
    state.result = find_cards();
    __atomic_store_n(&state.is_started, true, __ATOMIC_RELEASE);
}

CUresult cards_start(void)
{
    (void)pthread_once(&state.once, start); /* cannot fail with these arguments */
    return state.result;
}

CUresult cards_check(void)
{
    return __atomic_load_n(&state.is_started, __ATOMIC_ACQUIRE) ? state.result
                                                                : CUDA_ERROR_NOT_INITIALIZED;
}

struct session *cards_session(void)
{
    return &state.session;
}

struct card *cards_get(CUdevice device)
{
    if (cards_check() != CUDA_SUCCESS || device < 0 || (uint32_t)device >= state.count)
        return NULL;
    return &state.cards[device];
}

CUresult card_get_memory(const struct card *card, size_t *ret_free_bytes, size_t *ret_total_bytes)
{
    struct {
        uint32_t count;
        struct rm_fb_info pairs[FB_PAIRS];
    } params = {FB_PAIRS, {{RM_FB_HEAP, 0}, {RM_FB_HEAP_START, 0}, {RM_FB_FREE, 0}}};
    uint32_t status = session_control(&state.session, card->subdevice, RM_CONTROL_FB_GET_INFO_V2,
                                      &params, sizeof(params));

    if (status != RM_OK)
        return card_result(status);
    *ret_total_bytes = (size_t)params.pairs[0].kib * BYTES_PER_KIB;
    *ret_free_bytes = (size_t)params.pairs[2].kib * BYTES_PER_KIB;
    return CUDA_SUCCESS;
}

/* --- the API ---------------------------------------------------------------------------------- */

CUresult cuInit(unsigned int flags)
{
    return flags != 0 ? CUDA_ERROR_INVALID_VALUE : cards_start();
}

CUresult cuDriverGetVersion(int *version)
{
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
    CUresult result = cards_check();

    if (result != CUDA_SUCCESS)
        return result;
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    *count = (int)state.count;
    return CUDA_SUCCESS;
}

/* The card and what is wrong with asking for it. */
static CUresult find(CUdevice device, const void *target, struct card **ret_card)
{
    CUresult result = cards_check();

    if (result != CUDA_SUCCESS)
        return result;
    if (!target)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_card = cards_get(device);
    return *ret_card ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    struct card *card;
    CUresult result = find(ordinal, device, &card);

    if (result == CUDA_SUCCESS)
        *device = ordinal;
    return result;
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device)
{
    struct card *card;
    CUresult result = find(device, name, &card);

    if (result != CUDA_SUCCESS)
        return result;
    if (size <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    (void)str_format(name, (size_t)size, "%s", card->info.name); /* cut, as the driver does */
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    struct card *card;
    CUresult result = find(device, uuid, &card);

    if (result == CUDA_SUCCESS)
        memcpy(uuid->bytes, card->info.uuid_bytes, sizeof(uuid->bytes));
    return result;
}

CUresult cuDeviceGetPCIBusId(char *bus_id, int size, CUdevice device)
{
    struct card *card;
    CUresult result = find(device, bus_id, &card);
    const char *text;

    if (result != CUDA_SUCCESS)
        return result;
    /* CUDA's has a domain of four digits, NVML's of eight. */
    text = strlen(card->info.bus_id) > 12 ? card->info.bus_id + 4 : card->info.bus_id;
    return size > 0 && str_format(bus_id, (size_t)size, "%s", text) ? CUDA_SUCCESS
                                                                    : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    struct card *card;
    size_t free_bytes;
    CUresult result = find(device, bytes, &card);

    return result == CUDA_SUCCESS ? card_get_memory(card, &free_bytes, bytes) : result;
}

static bool get_identity(const struct wire_gpu *info, CUdevice_attribute attribute, int *ret_value)
{
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
        *ret_value = (int)info->multiprocessors;
        return true;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
        *ret_value = (int)info->compute_major;
        return true;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
        *ret_value = (int)info->compute_minor;
        return true;
    case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
        *ret_value = (int)info->pci_bus;
        return true;
    case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
        *ret_value = (int)info->pci_device;
        return true;
    case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID:
        *ret_value = (int)info->pci_domain;
        return true;
    default:
        return false;
    }
}

/* An H100's, as its specification has them. */
static const struct {
    CUdevice_attribute attribute;
    int value;
} attributes[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, BLOCK_XY},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, BLOCK_XY},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, BLOCK_XY},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, BLOCK_Z},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, GRID_X},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, GRID_YZ},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, GRID_YZ},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, SHARED_BYTES},
    {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, CONSTANT_BYTES},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, WARP},
    {CU_DEVICE_ATTRIBUTE_MAX_PITCH, PAGE_BYTES_MAX},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, REGISTERS},
    {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, CLOCK_KHZ},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, TEXTURE_ALIGNMENT},
    {CU_DEVICE_ATTRIBUTE_GPU_OVERLAP, 1},
    {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0},
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, 0},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
    {CU_DEVICE_ATTRIBUTE_ECC_ENABLED, 1},
    {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, MEMORY_CLOCK_KHZ},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, BUS_BITS},
    {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, L2_BYTES},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, PROCESSOR_THREADS},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, COPY_ENGINES},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 1},
    {CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
};

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    struct card *card;
    CUresult result = find(device, value, &card);

    if (result != CUDA_SUCCESS || get_identity(&card->info, attribute, value))
        return result;
    for (size_t i = 0; i < ARRAY_LENGTH(attributes); i++) {
        if (attributes[i].attribute == attribute) {
            *value = attributes[i].value;
            return CUDA_SUCCESS;
        }
    }
    /* The real one knows more: what the simulator does not model it does not have. */
    *value = 0;
    return (int)attribute > 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
