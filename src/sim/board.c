#include "sim/board.h"

#include "utils/str.h"

#include <stdlib.h>
#include <string.h>

#define MIB          (UINT64_C(1) << 20)
#define RESERVED_MAX (551 * MIB) /* what an H100's driver keeps for itself */
#define DRIFT_PPB    17500
#define PPB          UINT64_C(1000000000)

uint64_t board_clock_ns(const struct board *board, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns > board->clock_base_ns ? now_ns - board->clock_base_ns : 0;

    return board->clock_base_unix_ns + passed_ns + passed_ns / PPB * board->drift_ppb +
           passed_ns % PPB * board->drift_ppb / PPB;
}

static void on_record(void *owner, bool is_start, const struct gpu_identity *identity,
                      uint64_t time_ns)
{
    struct board *board = owner;

    switchlog_add(&board->records, is_start, identity, board_clock_ns(board, time_ns));
}

static void on_sample(void *owner, uint64_t busy_ns, uint64_t time_ns)
{
    struct board *board = owner;
    uint32_t percent = (uint32_t)((busy_ns * 100 + GPU_SAMPLE_NS / 2) / GPU_SAMPLE_NS);

    board->samples[board->sample_count++ % BOARD_SAMPLES] =
        (struct board_sample){.time_ns = time_ns, .percent = percent > 100 ? 100 : percent};
}

static const struct gpu_listener listener = {.record = on_record, .sample = on_sample};

static void name_board(struct board *board, const char *name)
{
    uint8_t *bytes = board->uuid_bytes;

    for (uint32_t i = 0; i < sizeof(board->uuid_bytes); i++)
        bytes[i] = (uint8_t)(0x5A + 37 * i + 11 * board->index);
    bytes[0] = (uint8_t)board->index;
    (void)str_format(board->name, sizeof(board->name), "%s", name);
    (void)str_format(board->uuid, sizeof(board->uuid),
                     "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                     bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
                     bytes[8], bytes[9], bytes[10], bytes[11], bytes[12], bytes[13], bytes[14],
                     bytes[15]);
    (void)str_format(board->bus_id, sizeof(board->bus_id), "00000000:%02X:00.0",
                     0x1B + board->index);
}

struct board *board_new(const struct board_options *options)
{
    struct board *board = calloc(1, sizeof(*board));
    uint64_t reserved = options->memory_bytes / 64 / (2 * MIB) * (2 * MIB);

    if (!board)
        return NULL;
    board->index = options->index;
    board->gpu_id = (0x1B + options->index) << 8;
    board->memory_bytes = options->memory_bytes;
    board->reserved_bytes = reserved < RESERVED_MAX ? reserved : RESERVED_MAX;
    board->clock_base_ns = options->now_ns;
    board->clock_base_unix_ns = options->now_unix_ns;
    board->drift_ppb = DRIFT_PPB;
    list_init(&board->storages);
    switchlog_init(&board->records);
    gpu_init(&board->gpu, &listener, board, options->now_ns);
    name_board(board, options->name);
    return board;
}

void board_free(struct board *board)
{
    free(board);
}

void board_lose(struct board *board)
{
    board->is_lost = true;
    gpu_lose(&board->gpu);
}

void board_return(struct board *board)
{
    gpu_init(&board->gpu, &listener, board, board->gpu.now_ns);
    board->is_lost = false;
}
