#include "hypervisor/talk.h"

#include "utils/clock.h"
#include "utils/closer.h"
#include "utils/list.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_MS      20 /* a full backlog is a supervisor that does not run */
#define MESSAGES_A_TURN 256

struct question {
    struct list node;
    talk_take *take;
    void *context;
    uint64_t asked_ns;
};

struct talk {
    struct talk_config config;
    char path[112];
    int fd;    /* -1: not connected */
    uid_t uid; /* of who answers there */
    uv_poll_t poll;
    bool is_polling, is_closed;
    struct list questions;
};

static void answer_all(struct talk *talk, int status, const char *words)
{
    struct message_reply reply = {.status = status};

    message_init(&reply, MESSAGE_REPLY, sizeof(reply));
    (void)str_format(reply.text, sizeof(reply.text), "%s", words); /* fits */
    while (!list_is_empty(&talk->questions)) {
        struct question *question = CONTAINER_OF(talk->questions.next, struct question, node);

        list_remove(&question->node);
        question->take(question->context, &reply.header);
        free(question);
    }
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct talk *talk = handle->data;

    talk->is_polling = false;
    closer_end(&talk->fd, talk->uid);
    if (talk->is_closed)
        free(talk);
}

static void hang_up(struct talk *talk)
{
    if (talk->is_polling && !uv_is_closing((uv_handle_t *)&talk->poll))
        uv_close((uv_handle_t *)&talk->poll, on_poll_closed);
}

static void lose(struct talk *talk, int status, const char *words)
{
    hang_up(talk);
    answer_all(talk, status, words);
    if (!talk->is_closed && talk->config.on_lost)
        talk->config.on_lost(talk->config.context);
}

static void take(struct talk *talk, const struct message_header *message)
{
    struct question *question;

    if (list_is_empty(&talk->questions)) {
        if (talk->config.on_news)
            talk->config.on_news(talk->config.context, message);
        return;
    }
    question = CONTAINER_OF(talk->questions.next, struct question, node);
    if (message->type != MESSAGE_REPLY) {
        question->asked_ns = clock_now_ns(); /* it is at it */
        question->take(question->context, message);
        return;
    }
    list_remove(&question->node);
    if (!list_is_empty(&talk->questions)) /* its turn begins now */
        CONTAINER_OF(talk->questions.next, struct question, node)->asked_ns = clock_now_ns();
    question->take(question->context, message);
    free(question);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct talk *talk = poll->data;

    (void)events;
    for (int i = 0; i < MESSAGES_A_TURN && !talk->is_closed; i++) {
        union {
            struct message_header header;
            char bytes[MESSAGE_SIZE_MAX];
        } message;
        struct sock_fds none = {.close = closer_close, .uid = talk->uid};
        ssize_t length =
            status < 0 ? 0 : sock_receive(talk->fd, &message, sizeof(message), &none, 0);

        if (length == -EAGAIN)
            return;
        if (length <= 0 || closer_count(talk->uid) > CLOSER_MANY ||
            message_check(&message, (size_t)length) < 0) {
            lose(talk, -ECONNRESET, "its supervisor has ended the connection");
            return;
        }
        take(talk, &message.header);
    }
}

int talk_use(struct talk *talk, int *fd)
{
    struct sock_peer peer;
    int rc;

    talk->fd = TAKE_FD(*fd);
    if (sock_get_peer(&peer, talk->fd, NULL) == 0)
        talk->uid = peer.uid;
    rc = uv_poll_init(talk->config.loop, &talk->poll, talk->fd);
    if (rc < 0) {
        closer_end(&talk->fd, talk->uid);
        return rc;
    }
    talk->poll.data = talk;
    talk->is_polling = true;
    return uv_poll_start(&talk->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

static int connect_now(struct talk *talk)
{
    CLEANUP_CLOSE int fd = -1;
    int rc;

    if (talk->is_closed)
        return -ECONNRESET; /* asked for in an answer that closing gave */
    if (talk->is_polling)
        return uv_is_closing((uv_handle_t *)&talk->poll) ? -ECONNRESET : 0;
    if (!talk->path[0])
        return -ECONNRESET;
    rc = sock_connect(&fd, talk->path, CONNECT_MS, NULL);
    return rc ? rc : talk_use(talk, &fd);
}

struct talk *talk_new(const struct talk_config *config)
{
    struct talk *talk = calloc(1, sizeof(*talk));

    if (!talk)
        return NULL;
    talk->config = *config;
    talk->fd = -1;
    list_init(&talk->questions);
    (void)str_format(talk->path, sizeof(talk->path), "%s",
                     config->path ? config->path : ""); /* a socket's fits */
    return talk;
}

void talk_close(struct talk *talk)
{
    if (!talk)
        return;
    talk->is_closed = true;
    answer_all(talk, -ECONNRESET, "its supervisor has ended");
    if (!talk->is_polling)
        free(talk);
    else
        hang_up(talk);
}

void talk_ask(struct talk *talk, const void *message, talk_take *take_answer, void *context)
{
    const struct message_header *header = message;
    struct question *question = calloc(1, sizeof(*question));
    struct message_reply reply = {.status = -ENOMEM};
    int rc = question ? connect_now(talk) : -ENOMEM;

    if (!rc)
        rc = sock_send(talk->fd, message, header->length, NULL, 0);
    if (rc < 0) {
        reply.status = rc;
        message_init(&reply, MESSAGE_REPLY, sizeof(reply));
        (void)str_format(reply.text, sizeof(reply.text), "its supervisor cannot be asked (%s)",
                         strerror(-rc)); /* fits */
        free(question);
        take_answer(context, &reply.header);
        return;
    }
    *question =
        (struct question){.take = take_answer, .context = context, .asked_ns = clock_now_ns()};
    list_append(&talk->questions, &question->node);
}

int talk_tell(struct talk *talk, const struct message_header *question)
{
    int rc = connect_now(talk);

    return rc ? rc : sock_send(talk->fd, question, question->length, NULL, 0);
}

int talk_watch(struct talk *talk)
{
    struct message_header watch;

    message_init(&watch, MESSAGE_WATCH, sizeof(watch));
    return talk_tell(talk, &watch);
}

bool talk_expire(struct talk *talk, uint64_t now_ns)
{
    const struct question *oldest;

    if (list_is_empty(&talk->questions))
        return false;
    oldest = CONTAINER_OF(talk->questions.next, struct question, node);
    if (now_ns <= oldest->asked_ns + TALK_ANSWER_MS * NS_PER_MS)
        return false;
    lose(talk, -ETIMEDOUT, "its supervisor does not answer");
    return true;
}

void talk_excuse(struct talk *talk, uint64_t now_ns)
{
    if (!list_is_empty(&talk->questions))
        CONTAINER_OF(talk->questions.next, struct question, node)->asked_ns = now_ns;
}
