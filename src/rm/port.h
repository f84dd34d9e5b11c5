#pragma once
/*
 * port - what the mediator needs from whoever carries a call: the process that makes it, or a
 * supervisor that performs it for one. `rm` knows neither; it knows this.
 *
 * reserve(), release() and tell() are called with the lock held and must neither block nor call
 * back; the others without it. perform() blocks as long as the driver does.
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A call as the program made it. */
struct port_call {
    uint64_t file_id; /* the open file, by the transport's own number; never 0 */
    int fd;           /* the descriptor it was made on */
    unsigned long request;
    uint64_t argument; /* the program's pointer */
};

/*
 * The copies that a decision rests on; size 0: none was taken. A port that carries calls for
 * somebody else performs the call on these, so that nobody changes the arguments after they were
 * judged; afterwards they hold what the driver left, and so does the program's memory.
 */
struct port_copies {
    uint64_t args_address, params_address;
    void *args, *params;
    uint32_t args_size, params_size;
};

enum port_event_kind {
    PORT_GROUP,   /* a channel group appeared, or its slice was overwritten by the program itself */
    PORT_CHANNEL, /* a channel appeared */
    PORT_FREED,   /* a group or channel is gone */
    PORT_CLIENT_GONE /* a client that had groups or channels is gone with all of them */
};

struct port_event {
    enum port_event_kind kind;
    uint64_t file_id; /* of the client */
    uint32_t client, device_instance, subdevice;
    uint32_t group;   /* 0: a channel directly below a device */
    uint32_t channel; /* 0: a group */
    uint32_t engine;  /* RM_GROUP_PARAMS_ENGINE as allocated */
};

struct port_memory {
    uint64_t limit_bytes; /* UINT64_MAX: none */
    uint64_t used_bytes;
};

struct port {
    void *context;

    /*
     * The caller's memory is this process's own: what the driver has just written there is looked
     * at and changed in its place.
     */
    bool is_direct;

    void (*get_memory)(void *context, uint32_t device_instance, struct port_memory *ret_memory);

    /* Copies between the caller's memory and ours; -EFAULT where that memory is not there. */
    int (*read)(void *context, uint64_t address, void *to, size_t size);
    int (*write)(void *context, uint64_t address, const void *from, size_t size);

    /*
     * The driver's answer: what ioctl returned, or a negative errno. Copies that were taken are
     * renewed.
     */
    int (*perform)(void *context, const struct port_call *call, struct port_copies *copies);

    /* Frees an object that the caller must not keep. */
    void (*free_object)(void *context, const struct port_call *call, uint32_t client,
                        uint32_t object);

    bool (*is_allowed)(void *context, uint32_t device_instance);

    /* Takes bytes of a device's quota and returns true, or takes nothing. */
    bool (*reserve)(void *context, uint32_t device_instance, uint64_t bytes);
    void (*release)(void *context, uint32_t device_instance, uint64_t bytes);

    void (*tell)(void *context, const struct port_event *event);

    /* Guards the mediator's state; never held in perform(). */
    void (*lock)(void *context);
    void (*unlock)(void *context);
};

/* Below this nothing is ever mapped. */
#define PORT_ADDRESS_MIN 4096u
