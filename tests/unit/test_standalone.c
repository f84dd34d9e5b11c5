#include "tests/harness.h"

#include "hypervisor/keeper.h"
#include "hypervisor/standalone.h"
#include "utils/clock.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <ftw.h>
#include <stdio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_NS (10 * NS_PER_SEC)
#define LONG_NAME   "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-123456789"

static struct {
    uv_loop_t loop;
    char base[32], pattern[48], path[160];
    int listen_fd, peer_fd;
    struct standalone *standalone;
    uint64_t now_ns;
} at;

/* One tenant of this user's, whose supervisor is the test. */
static void start(const char *name)
{
    struct err err;

    memset(&at, 0, sizeof(at));
    at.peer_fd = -1;
    (void)str_format(at.base, sizeof(at.base), "/tmp/vgunitXXXXXX");
    CHECK(mkdtemp(at.base) != NULL);
    (void)str_format(at.pattern, sizeof(at.pattern), "%s*", at.base);
    (void)str_format(at.path, sizeof(at.path), "%s/tenants", at.base);
    CHECK_EQ(mkdir(at.path, 0700), 0);
    (void)str_format(at.path, sizeof(at.path), "%s/tenants/%s", at.base, name);
    CHECK_EQ(mkdir(at.path, 0700), 0);
    (void)str_format(at.path, sizeof(at.path), "%s/tenants/%s/control", at.base, name);
    CHECK_OK(sock_listen(&at.listen_fd, at.path, &err), &err);
    CHECK_EQ(uv_loop_init(&at.loop), 0);
    CHECK_OK(standalone_new(&at.standalone, &at.loop, "/tmp/vgunit-own", &err), &err);
    at.now_ns = clock_now_ns();
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void stop(void)
{
    standalone_free(at.standalone);
    CHECK_EQ(uv_run(&at.loop, UV_RUN_DEFAULT), 0);
    CHECK_EQ(uv_loop_close(&at.loop), 0); /* nothing of it is left */
    (void)close(at.listen_fd);
    if (at.peer_fd >= 0)
        (void)close(at.peer_fd);
    CHECK_EQ(nftw(at.base, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void run(void)
{
    for (int i = 0; i < 4; i++)
        (void)uv_run(&at.loop, UV_RUN_NOWAIT);
}

static void look(void)
{
    at.now_ns += NS_PER_MS;
    standalone_look(at.standalone, at.pattern, at.now_ns);
    run();
}

static uint32_t count(void)
{
    uint32_t number = 0;

    LIST_EACH(node, standalone_keepers(at.standalone))
    number++;
    return number;
}

static const struct keeper *first(void)
{
    CHECK(count() > 0);
    return CONTAINER_OF(standalone_keepers(at.standalone)->next, struct keeper, node);
}

/* Looks until there are so many; what the thread needs is not known. */
static bool is_count(uint32_t wanted)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;

    while (count() != wanted && clock_now_ns() < end_ns) {
        look();
        (void)poll(NULL, 0, 1);
    }
    return count() == wanted;
}

static void meet(void)
{
    CHECK(is_count(1));
    at.peer_fd = accept4(at.listen_fd, NULL, NULL, SOCK_CLOEXEC);
    CHECK(at.peer_fd >= 0);
}

/* The next question; 0: none has come. */
static int asked(void)
{
    union {
        struct message_header header;
        char bytes[MESSAGE_SIZE_MAX];
    } message;
    ssize_t length = sock_receive(at.peer_fd, &message, sizeof(message), NULL, 0);

    return length > 0 ? message_check(&message, (size_t)length) : 0;
}

static void say(void *message, enum message_type type, size_t length)
{
    message_init(message, type, length);
    while (sock_send(at.peer_fd, message, length, NULL, 0) < 0 && count())
        run();
}

static void answer(uint32_t processes)
{
    struct message_status_tenant tenant = {.name = "root", .uid = 7, .supervisor_pid = 1};
    struct message_status_process process = {.pid = 100};
    struct message_reply reply = {.status = 0};

    say(&tenant, MESSAGE_STATUS_TENANT, sizeof(tenant));
    for (uint32_t i = 0; i < processes; i++, process.pid++)
        say(&process, MESSAGE_STATUS_PROCESS, sizeof(process));
    say(&reply, MESSAGE_REPLY, sizeof(reply));
    run();
}

TEST(a_tenant_is_found_asked_and_called_after_its_user)
{
    char name[64];

    start("a");
    meet();
    CHECK_EQ(first()->state, SNAPSHOT_STARTING);
    CHECK(first()->is_observed);
    CHECK_EQ(asked(), MESSAGE_STATUS);
    (void)str_format(name, sizeof(name), "a@%u", geteuid());
    CHECK(standalone_find(at.standalone, name) == NULL); /* it has said nothing yet */
    answer(3);
    CHECK_EQ(first()->state, SNAPSHOT_RUNNING);
    CHECK_STR_EQ(first()->tenant.name, name);
    CHECK_EQ(first()->tenant.uid, geteuid());
    CHECK_EQ(first()->status.process_count, 3);
    CHECK(standalone_find(at.standalone, name) == first());
    CHECK(standalone_find(at.standalone, "a") == NULL);
    stop();
}

TEST(a_long_name_is_cut_and_its_user_is_not)
{
    char suffix[16];
    const char *name;

    start(LONG_NAME);
    meet();
    (void)str_format(suffix, sizeof(suffix), "@%u", geteuid());
    name = first()->tenant.name;
    CHECK_EQ(strlen(name), 63);
    CHECK_STR_EQ(name + 63 - strlen(suffix), suffix);
    CHECK_EQ(strncmp(name, LONG_NAME, 63 - strlen(suffix)), 0);
    stop();
}

TEST(it_is_asked_at_each_look_once)
{
    start("a");
    meet();
    CHECK_EQ(asked(), MESSAGE_STATUS);
    look();
    CHECK_EQ(asked(), 0);
    answer(0);
    look();
    CHECK_EQ(asked(), MESSAGE_STATUS);
    CHECK_EQ(asked(), 0);
    stop();
}

TEST(who_says_nothing_is_done_with)
{
    start("a");
    meet();
    at.now_ns += 2 * NS_PER_SEC;
    look();
    run();
    CHECK_EQ(count(), 0);
    stop();
}

TEST(who_says_what_was_not_asked_for_is_done_with)
{
    start("a");
    meet();
    answer(0);
    CHECK_EQ(count(), 1);
    answer(0);
    run();
    CHECK_EQ(count(), 0);
    stop();
}

TEST(no_more_processes_are_believed_than_one_user_s_tenant_may_say)
{
    start("a");
    meet();
    answer(500);
    CHECK_EQ(count(), 1);
    CHECK_EQ(first()->status.process_count, 64);
    stop();
}

TEST(who_does_not_come_to_an_end_is_done_with)
{
    start("a");
    meet();
    answer(5000);
    run();
    CHECK_EQ(count(), 0);
    stop();
}

TEST(who_hangs_up_is_gone)
{
    start("a");
    meet();
    answer(1);
    (void)close(at.peer_fd);
    at.peer_fd = -1;
    (void)close(at.listen_fd);
    at.listen_fd = -1;
    (void)unlink(at.path);
    CHECK(is_count(0));
    stop();
}

TEST(what_was_searched_is_known_once_all_of_it_is_taken)
{
    uint64_t first_ns, end_ns = clock_now_ns() + PATIENCE_NS;

    start("a");
    first_ns = standalone_searched_ns(at.standalone);
    CHECK(first_ns <= at.now_ns);
    look();
    CHECK(standalone_searched_ns(at.standalone) == first_ns); /* it has just begun */
    while (standalone_searched_ns(at.standalone) == first_ns && clock_now_ns() < end_ns)
        look();
    CHECK(standalone_searched_ns(at.standalone) > first_ns);
    CHECK_EQ(count(), 1); /* with the keepers of all that it found */
    stop();
}

TEST(without_patterns_nothing_is_looked_for)
{
    start("a");
    at.pattern[0] = '\0';
    for (int i = 0; i < 50; i++) {
        look();
        (void)poll(NULL, 0, 1);
    }
    CHECK_EQ(count(), 0);
    stop();
}
