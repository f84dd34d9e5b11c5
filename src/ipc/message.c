#include "ipc/message.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Where a message holds a string: its end is made sure of before anybody reads it. */
struct text_field {
    size_t offset, size;
};

#define TEXT(type, field)                                                                          \
    {                                                                                              \
        offsetof(struct type, field), sizeof(((struct type *)0)->field)                            \
    }

static const struct {
    size_t length;
    struct text_field text;
} layouts[MESSAGE_TYPE_END] = {
    [MESSAGE_HELLO] = {sizeof(struct message_hello), TEXT(message_hello, comm)},
    [MESSAGE_WELCOME] = {sizeof(struct message_welcome), {0, 0}},
    [MESSAGE_FILE] = {sizeof(struct message_file), {0, 0}},
    [MESSAGE_GROUP] = {sizeof(struct message_group), {0, 0}},
    [MESSAGE_CHANNEL] = {sizeof(struct message_channel), {0, 0}},
    [MESSAGE_FREED] = {sizeof(struct message_freed), {0, 0}},
    [MESSAGE_CLOSED] = {sizeof(struct message_file), {0, 0}},
    [MESSAGE_ARM] = {sizeof(struct message_arm), {0, 0}},
    [MESSAGE_ARMED] = {sizeof(struct message_arm), {0, 0}},
    [MESSAGE_COUNTERS] = {sizeof(struct message_counters), {0, 0}},
    [MESSAGE_STATUS] = {sizeof(struct message_header), {0, 0}},
    [MESSAGE_STATUS_TENANT] = {sizeof(struct message_status_tenant),
                               TEXT(message_status_tenant, name)},
    [MESSAGE_STATUS_PROCESS] = {sizeof(struct message_status_process),
                                TEXT(message_status_process, comm)},
    [MESSAGE_STATUS_GPU] = {sizeof(struct message_status_gpu), TEXT(message_status_gpu, uuid)},
    [MESSAGE_SET] = {sizeof(struct message_set), {0, 0}},
    [MESSAGE_REPLY] = {sizeof(struct message_reply), TEXT(message_reply, text)},
    [MESSAGE_EXPLAIN] = {sizeof(struct message_header), {0, 0}},
    [MESSAGE_EXPLAINED] = {sizeof(struct message_explained), TEXT(message_explained, uuid)},
    [MESSAGE_WATCH] = {sizeof(struct message_header), {0, 0}},
    [MESSAGE_END] = {sizeof(struct message_end), {0, 0}},
    [MESSAGE_LIST] = {sizeof(struct message_header), {0, 0}},
    [MESSAGE_NAME] = {sizeof(struct message_name), TEXT(message_name, name)},
    [MESSAGE_SELECT] = {sizeof(struct message_name), TEXT(message_name, name)},
    [MESSAGE_CREATE] = {sizeof(struct message_create), TEXT(message_create, name)},
    [MESSAGE_CREATED] = {sizeof(struct message_created), TEXT(message_created, text)},
    [MESSAGE_RELOAD] = {sizeof(struct message_header), {0, 0}},
};

void message_init(void *message, enum message_type type, size_t length)
{
    struct message_header *header = message;

    *header = (struct message_header){.magic = MESSAGE_MAGIC,
                                      .version = MESSAGE_VERSION,
                                      .type = type,
                                      .length = (uint32_t)length};
}

int message_check(void *message, size_t length)
{
    struct message_header header;
    const struct text_field *text;

    if (length < sizeof(header))
        return -EPROTO;
    memcpy(&header, message, sizeof(header));
    if (header.magic != MESSAGE_MAGIC || header.version != MESSAGE_VERSION)
        return -EPROTO;
    if (!header.type || header.type >= MESSAGE_TYPE_END)
        return -EPROTO;
    if (header.length != length || layouts[header.type].length != length)
        return -EPROTO;
    text = &layouts[header.type].text;
    if (text->size)
        ((char *)message)[text->offset + text->size - 1] = '\0';
    return (int)header.type;
}
