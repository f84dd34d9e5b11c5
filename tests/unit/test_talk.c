#include "tests/harness.h"

#include "hypervisor/talk.h"
#include "utils/clock.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWERS_MAX 64

/* A question's own answers, in the order in which they came. */
struct asked {
    int numbers[ANSWERS_MAX]; /* a REPLY's status; 1000 + nvml_index of an EXPLAINED */
    uint32_t count, replies;
    bool closes, asks_again;
};

static struct {
    uv_loop_t loop;
    char folder[32], path[64];
    int listen_fd, peer_fd;
    struct talk *talk;
    uint32_t news, losses;
    bool closes_when_lost, closes_at_news;
    struct asked first, second, third;
    struct message_header question;
} at;

static void close_now(void)
{
    talk_close(at.talk);
    at.talk = NULL;
}

static void on_news(void *context, const struct message_header *message)
{
    (void)context;
    (void)message;
    at.news++;
    if (at.closes_at_news)
        close_now();
}

static void on_lost(void *context)
{
    (void)context;
    at.losses++;
    if (at.closes_when_lost)
        close_now();
}

static void take(void *context, const struct message_header *message)
{
    struct message_explained explained;
    struct asked *asked = context;
    struct message_reply reply;

    memcpy(&reply, message, message->type == MESSAGE_REPLY ? sizeof(reply) : sizeof(*message));
    if (message->type == MESSAGE_EXPLAINED)
        memcpy(&explained, message, sizeof(explained));
    CHECK(asked->count < ANSWERS_MAX);
    asked->numbers[asked->count++] =
        message->type == MESSAGE_REPLY ? reply.status : 1000 + (int)explained.nvml_index;
    if (message->type != MESSAGE_REPLY)
        return;
    asked->replies++;
    if (asked->asks_again)
        talk_ask(at.talk, &at.question, take, asked);
    if (asked->closes)
        close_now();
}

static void start(void)
{
    struct talk_config config = {
        .loop = &at.loop, .path = at.path, .on_news = on_news, .on_lost = on_lost};
    struct err err;

    memset(&at, 0, sizeof(at));
    at.peer_fd = -1;
    (void)str_format(at.folder, sizeof(at.folder), "/tmp/vgunitXXXXXX");
    CHECK(mkdtemp(at.folder) != NULL);
    (void)str_format(at.path, sizeof(at.path), "%s/control", at.folder);
    CHECK_OK(sock_listen(&at.listen_fd, at.path, &err), &err);
    CHECK_EQ(uv_loop_init(&at.loop), 0);
    message_init(&at.question, MESSAGE_EXPLAIN, sizeof(at.question));
    at.talk = talk_new(&config);
    CHECK(at.talk != NULL);
}

static void run(void)
{
    for (int i = 0; i < 4; i++)
        (void)uv_run(&at.loop, UV_RUN_NOWAIT);
}

static void stop(void)
{
    talk_close(at.talk);
    run();
    CHECK_EQ(uv_loop_close(&at.loop), 0); /* nothing of it is left */
    close(at.listen_fd);
    if (at.peer_fd >= 0)
        close(at.peer_fd);
    (void)unlink(at.path);
    CHECK_EQ(rmdir(at.folder), 0);
}

static void ask(struct asked *asked)
{
    talk_ask(at.talk, &at.question, take, asked);
}

static void accept_peer(void)
{
    if (at.peer_fd >= 0)
        close(at.peer_fd);
    at.peer_fd = accept4(at.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    CHECK(at.peer_fd >= 0);
}

static void answer(int status)
{
    struct message_reply reply = {.status = status};

    message_init(&reply, MESSAGE_REPLY, sizeof(reply));
    CHECK_EQ(sock_send(at.peer_fd, &reply, sizeof(reply), NULL, 0), 0);
}

static void explain(uint32_t index)
{
    struct message_explained explained = {.nvml_index = index};

    message_init(&explained, MESSAGE_EXPLAINED, sizeof(explained));
    CHECK_EQ(sock_send(at.peer_fd, &explained, sizeof(explained), NULL, 0), 0);
}

TEST(answers_come_to_the_questions_in_their_order)
{
    start();
    ask(&at.first);
    ask(&at.second);
    accept_peer();
    explain(0);
    explain(1);
    answer(0);
    explain(2);
    answer(-EBUSY);
    run();
    CHECK_EQ(at.first.count, 3);
    CHECK_EQ(at.first.numbers[0], 1000);
    CHECK_EQ(at.first.numbers[1], 1001);
    CHECK_EQ(at.first.numbers[2], 0);
    CHECK_EQ(at.second.count, 2);
    CHECK_EQ(at.second.numbers[0], 1002);
    CHECK_EQ(at.second.numbers[1], -EBUSY);
    CHECK_EQ(at.news, 0);
    stop();
}

TEST(what_nobody_asked_for_is_news)
{
    start();
    CHECK_EQ(talk_watch(at.talk), 0);
    accept_peer();
    explain(0);
    answer(0);
    run();
    CHECK_EQ(at.news, 2);
    CHECK_EQ(at.losses, 0);
    stop();
}

TEST(a_supervisor_that_is_not_there_is_an_answer_at_once)
{
    start();
    close(at.listen_fd);
    ask(&at.first);
    CHECK_EQ(at.first.count, 1);
    CHECK_EQ(at.first.numbers[0], -ECONNREFUSED);
    CHECK(talk_watch(at.talk) < 0);
    CHECK_EQ(at.losses, 0);
    stop();
}

TEST(one_that_goes_answers_all_that_wait_once_and_is_told_once)
{
    start();
    ask(&at.first);
    ask(&at.second);
    accept_peer();
    explain(0);
    run(); /* what is not read is lost where the peer goes with unread questions */
    close(at.peer_fd);
    at.peer_fd = -1;
    run();
    CHECK_EQ(at.first.count, 2);
    CHECK_EQ(at.first.numbers[1], -ECONNRESET);
    CHECK_EQ(at.second.numbers[0], -ECONNRESET);
    CHECK_EQ(at.first.replies, 1);
    CHECK_EQ(at.second.replies, 1);
    CHECK_EQ(at.losses, 1);
    ask(&at.third); /* the line is opened again */
    accept_peer();
    answer(0);
    run();
    CHECK_EQ(at.third.numbers[0], 0);
    stop();
}

TEST(garbage_ends_the_line)
{
    static const char *const garbage[] = {"x", "a longer text that is no message at all", ""};

    for (size_t i = 0; i < 3; i++) {
        start();
        ask(&at.first);
        accept_peer();
        CHECK_EQ(sock_send(at.peer_fd, garbage[i], strlen(garbage[i]), NULL, 0), 0);
        answer(0); /* too late */
        run();
        CHECK_EQ(at.first.replies, 1);
        CHECK_EQ(at.first.numbers[0], -ECONNRESET);
        CHECK_EQ(at.losses, 1);
        stop();
    }
}

TEST(it_may_be_closed_in_an_answer)
{
    start();
    at.first.closes = true;
    ask(&at.first);
    ask(&at.second);
    accept_peer();
    answer(0);
    answer(0);
    run();
    CHECK_EQ(at.first.replies, 1);
    CHECK_EQ(at.second.replies, 1);
    CHECK_EQ(at.second.numbers[0], -ECONNRESET);
    CHECK_EQ(at.losses, 0);
    stop();
}

TEST(it_may_be_closed_at_news_and_when_it_is_lost)
{
    start();
    at.closes_at_news = true;
    CHECK_EQ(talk_watch(at.talk), 0);
    accept_peer();
    answer(0);
    answer(0);
    run();
    CHECK_EQ(at.news, 1);
    stop();
    start();
    at.closes_when_lost = true;
    CHECK_EQ(talk_watch(at.talk), 0);
    accept_peer();
    close(at.peer_fd);
    at.peer_fd = -1;
    run();
    CHECK_EQ(at.losses, 1);
    stop();
}

TEST(who_asks_again_in_an_error_s_answer_is_answered_and_not_for_ever)
{
    start();
    at.first.asks_again = true;
    ask(&at.first);
    accept_peer();
    at.first.asks_again = true;
    answer(0);
    (void)uv_run(&at.loop, UV_RUN_NOWAIT); /* it waits again, asked in its answer */
    CHECK_EQ(at.first.replies, 1);
    at.second.asks_again = false;
    at.first.asks_again = false;
    close_now();
    CHECK_EQ(at.first.replies, 2);
    stop();
}

static void ask_closing(void *context, const struct message_header *message)
{
    struct asked *asked = context;

    (void)message;
    if (asked->count++ < 10) /* once: what is closed is not opened again */
        talk_ask(at.talk, &at.question, take, &at.second);
}

TEST(what_is_asked_of_a_line_that_is_closed_is_answered_with_an_error)
{
    start();
    talk_ask(at.talk, &at.question, ask_closing, &at.first);
    accept_peer();
    close_now();
    CHECK_EQ(at.first.count, 1);
    CHECK_EQ(at.second.replies, 1);
    CHECK_EQ(at.second.numbers[0], -ECONNRESET);
    run();
    CHECK(accept4(at.listen_fd, NULL, NULL, SOCK_CLOEXEC) < 0); /* nobody has called again */
    stop();
}

TEST(a_question_that_waits_too_long_loses_the_line)
{
    uint64_t now_ns = clock_now_ns();

    start();
    CHECK(!talk_expire(at.talk, UINT64_MAX)); /* nobody waits */
    ask(&at.first);
    ask(&at.second);
    accept_peer();
    CHECK(!talk_expire(at.talk, now_ns));
    explain(0); /* it is at it: the time begins anew */
    run();
    CHECK(talk_expire(at.talk, now_ns + NS_PER_SEC * 3600));
    CHECK_EQ(at.first.numbers[1], -ETIMEDOUT);
    CHECK_EQ(at.second.numbers[0], -ETIMEDOUT);
    CHECK_EQ(at.losses, 1);
    CHECK(!talk_expire(at.talk, UINT64_MAX));
    stop();
}

TEST(an_answer_without_an_end_starves_nobody)
{
    start();
    ask(&at.first);
    accept_peer();
    for (uint32_t i = 0; i < ANSWERS_MAX - 1; i++)
        explain(i);
    run();
    CHECK_EQ(at.first.count, ANSWERS_MAX - 1);
    CHECK_EQ(at.first.replies, 0);
    talk_close(at.talk);
    at.talk = NULL;
    CHECK_EQ(at.first.replies, 1);
    stop();
}

TEST(a_line_that_was_given_is_used_and_never_opened_again)
{
    struct talk_config config = {.loop = &at.loop, .on_news = on_news, .on_lost = on_lost};
    int fds[2];

    start();
    talk_close(at.talk);
    config.loop = &at.loop;
    at.talk = talk_new(&config);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    at.peer_fd = fds[1];
    CHECK_EQ(talk_use(at.talk, &fds[0]), 0);
    CHECK_EQ(fds[0], -1);
    CHECK_EQ(talk_tell(at.talk, &at.question), 0);
    answer(0);
    run();
    CHECK_EQ(at.news, 1);
    close(at.peer_fd);
    at.peer_fd = -1;
    run();
    CHECK_EQ(at.losses, 1);
    CHECK_EQ(talk_tell(at.talk, &at.question), -ECONNRESET);
    stop();
}
