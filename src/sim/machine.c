#include "sim/machine.h"

#include "abi/rm.h"
#include "sim/channel.h"
#include "sim/storage.h"

#include <errno.h>
#include <stdlib.h>

int machine_init(struct machine *machine, const struct machine_options *options)
{
    *machine = (struct machine){.random = UINT64_C(0x2545F4914F6CDD1D)};
    objects_init(&machine->objects);
    list_init(&machine->files);
    for (uint32_t i = 0; i < options->gpus; i++) {
        struct board_options board = {
            .index = i,
            .memory_bytes = options->memory_bytes,
            .name = options->model,
            .now_ns = options->now_ns,
            .now_unix_ns = options->now_unix_ns,
        };

        machine->boards[i] = board_new(&board);
        if (!machine->boards[i]) {
            machine_fini(machine);
            return -ENOMEM;
        }
        machine->board_count++;
    }
    return 0;
}

void machine_fini(struct machine *machine)
{
    LIST_EACH_SAFE(node, following, &machine->files)
    machine_close_file(machine, CONTAINER_OF(node, struct open_file, node));
    for (uint32_t i = 0; i < machine->board_count; i++)
        board_free(machine->boards[i]);
    machine->board_count = 0;
}

struct board *machine_board(struct machine *machine, uint32_t index)
{
    if (index >= machine->board_count || (machine->faults.missing_gpus >> index & 1))
        return NULL;
    return machine->boards[index];
}

void machine_advance(struct machine *machine, uint64_t now_ns)
{
    for (uint32_t i = 0; i < machine->board_count; i++)
        gpu_advance(&machine->boards[i]->gpu, now_ns);
}

static void lose_board(struct board *board)
{
    board_lose(board);
    LIST_EACH(group_node, &board->gpu.groups)
    {
        struct gpu_group *group = CONTAINER_OF(group_node, struct gpu_group, node);

        LIST_EACH(node, &group->channels)
        channel_lose(CONTAINER_OF(CONTAINER_OF(node, struct gpu_channel, node), struct channel,
                                  gpu_channel));
    }
}

/*
 * As after a reset or another start of the driver: nothing of before is there. Who has handles is
 * told that there are no such objects.
 */
static void return_board(struct machine *machine, struct board *board)
{
    LIST_EACH(client_node, &machine->objects.clients)
    {
        struct client *client = CONTAINER_OF(client_node, struct client, node);

        LIST_EACH_SAFE(node, following, &client->object.children)
        {
            struct object *object = CONTAINER_OF(node, struct object, sibling_node);

            if (object->board == (int32_t)board->index)
                objects_free(object);
        }
    }
    LIST_EACH(node, &machine->files)
    {
        struct open_file *file = CONTAINER_OF(node, struct open_file, node);

        if (file->mapped && file->mapped->board == board) {
            storage_drop(file->mapped);
            file->mapped = NULL;
        }
    }
    board_return(board);
}

int machine_set_fault(struct machine *machine, const char *text, struct err *err)
{
    int rc = faults_set(&machine->faults, text, err);

    for (uint32_t i = 0; rc == 0 && i < machine->board_count; i++) {
        bool is_lost = machine->faults.lost_gpus >> i & 1;

        if (is_lost && !machine->boards[i]->is_lost)
            lose_board(machine->boards[i]);
        if (!is_lost && machine->boards[i]->is_lost)
            return_board(machine, machine->boards[i]);
    }
    return rc;
}

int machine_add_file(struct machine *machine, struct open_file **ret_file,
                     const struct open_file *file)
{
    struct open_file *copy = malloc(sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    *copy = *file;
    list_init(&copy->clients);
    list_append(&machine->files, &copy->node);
    *ret_file = copy;
    return 0;
}

struct open_file *machine_find_file(struct machine *machine, uint64_t inode)
{
    LIST_EACH(node, &machine->files)
    {
        struct open_file *file = CONTAINER_OF(node, struct open_file, node);

        if (file->inode == inode)
            return file;
    }
    return NULL;
}

void machine_close_file(struct machine *machine, struct open_file *file)
{
    while (!list_is_empty(&file->clients))
        objects_free(&CONTAINER_OF(file->clients.next, struct client, file_node)->object);
    storage_drop(file->mapped);
    list_remove(&file->node);
    free(file);
}

uint64_t machine_draw_ns(struct machine *machine, uint64_t min_ns, uint64_t max_ns)
{
    uint64_t x = machine->random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    machine->random = x;
    return min_ns + ((x * UINT64_C(2685821657736338717)) >> 11) % (max_ns - min_ns + 1);
}
