#include "tests/harness.h"
#include "tests/unit/fake_machine.h"

#include "supervisor/controller.h"
#include "supervisor/gpus.h"
#include "supervisor/guests.h"
#include "supervisor/process.h"
#include "utils/log.h"
#include "utils/shm.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    struct gpus *gpus;
    struct region_control control;
    struct controller *controller;
    struct guests guests;
    struct guest *guest;
    int here, there; /* the supervisor's end and the guest's */
    int ledger_fd, control_fd;
    void *ledger_memory, *page;
} at;

static void join(bool is_again)
{
    int ends[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    at.here = ends[0];
    at.there = ends[1];
    at.guest = guests_join(&at.guests, at.here, process_open(getpid()), getpid(), is_again);
}

static struct message_welcome receive_welcome(void)
{
    struct message_welcome message = {.status = 1};
    struct sock_fds fds = {.count = SOCK_FDS_MAX};

    CHECK_EQ(sock_receive(at.there, &message, sizeof(message), &fds, 0), sizeof(message));
    CHECK_EQ(message_check(&message, sizeof(message)), MESSAGE_WELCOME);
    for (size_t i = 0; i < fds.count; i++)
        close(fds.values[i]);
    CHECK_EQ(fds.count, message.status ? 0 : 2);
    return message;
}

static void start(void)
{
    const struct gpus_card *card;
    struct err err;

    fake_machine_start(1, true);
    CHECK_OK(gpus_open(&at.gpus, &err), &err);
    card = gpus_card(at.gpus, 0);
    memset(&at.control, 0, sizeof(at.control));
    at.control.gpu_count = 1;
    at.control.gpus[0].is_allowed = 1;
    at.control.gpus[0].device_instance = card->device_instance;
    CHECK_OK(controller_new(&at.controller, &at.control, &card, &err), &err);
    guests_init(&at.guests, &at.control, at.controller);
    at.ledger_fd = shm_create(&at.ledger_memory, "ledger", ledger_size(), false, &err);
    at.control_fd = shm_create(&at.page, "page", 4096, true, &err);
    CHECK(at.ledger_fd >= 0 && at.control_fd >= 0);
    at.guests.ledger = ledger_init(at.ledger_memory);
    at.guests.ledger_fd = at.ledger_fd;
    at.guests.control_fd = at.control_fd;
    join(false);
    CHECK(at.guest != NULL);
}

static void part(void)
{
    close(at.here);
    close(at.there);
}

static void stop(void)
{
    while (!list_is_empty(&at.guests.head))
        guests_leave(&at.guests, CONTAINER_OF(at.guests.head.next, struct guest, node));
    CHECK_EQ(at.guests.count, 0);
    part();
    controller_free(at.controller);
    gpus_close(at.gpus);
    shm_unmap(at.ledger_memory, ledger_size());
    shm_unmap(at.page, 4096);
    close(at.ledger_fd);
    close(at.control_fd);
    fake_machine_stop();
}

static int null_fd(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int tell_file(uint64_t id, int fd)
{
    struct message_file message = {.file_id = id};

    message_init(&message, MESSAGE_FILE, sizeof(message));
    return guests_take(&at.guests, at.guest, &message, fd);
}

static int tell_channel(const struct message_channel *channel)
{
    struct message_channel message = *channel;

    message_init(&message, MESSAGE_CHANNEL, sizeof(message));
    return guests_take(&at.guests, at.guest, &message, -1);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

TEST(one_that_joins_gets_a_row_and_two_descriptors)
{
    struct message_welcome welcome;

    start();
    welcome = receive_welcome();
    CHECK_EQ(welcome.status, 0);
    CHECK_EQ(welcome.row, at.guest->row.index);
    CHECK(welcome.pid_stamp != 0);
    CHECK_EQ(at.guests.count, 1);
    stop();
}

TEST(a_process_that_is_no_more_gets_nothing)
{
    pid_t child;

    start();
    child = fork();
    if (child == 0)
        _exit(0);
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    (void)receive_welcome();
    CHECK(guests_join(&at.guests, at.here, process_open(child), child, false) == NULL);
    CHECK(receive_welcome().status < 0);
    CHECK_EQ(at.guests.count, 1);
    stop();
}

TEST(one_that_comes_again_keeps_its_row_and_what_it_holds)
{
    uint32_t row;

    start();
    row = at.guest->row.index;
    CHECK_EQ(ledger_reserve(at.guests.ledger, &at.guest->row, 0, 1 << 20, REGION_NO_LIMIT), 0);
    guests_lose(&at.guests, at.guest, SECOND);
    part();
    join(true);
    CHECK_EQ(at.guest->row.index, row);
    CHECK_EQ(ledger_used(at.guests.ledger, 0), 1 << 20);
    CHECK_EQ(at.guests.count, 1);
    stop();
}

TEST(one_that_comes_anew_has_called_exec_and_holds_nothing)
{
    start();
    CHECK_EQ(ledger_reserve(at.guests.ledger, &at.guest->row, 0, 1 << 20, REGION_NO_LIMIT), 0);
    guests_lose(&at.guests, at.guest, SECOND);
    part();
    join(false);
    CHECK(at.guest != NULL);
    CHECK_EQ(ledger_used(at.guests.ledger, 0), 0);
    CHECK_EQ(at.guests.count, 1);
    stop();
}

TEST(a_lost_guest_that_lives_on_leaves_when_its_time_is_over)
{
    start();
    CHECK_EQ(ledger_reserve(at.guests.ledger, &at.guest->row, 0, 1 << 20, REGION_NO_LIMIT), 0);
    CHECK(!guests_expire(&at.guests, SECOND));
    guests_lose(&at.guests, at.guest, SECOND);
    CHECK(guests_expire(&at.guests, SECOND + GUEST_LOST_NS));
    CHECK_EQ(at.guests.count, 1);
    CHECK(!guests_expire(&at.guests, SECOND + GUEST_LOST_NS + 1));
    CHECK_EQ(at.guests.count, 0);
    CHECK_EQ(ledger_used(at.guests.ledger, 0), 0);
    stop();
}

TEST(more_files_than_are_kept_are_closed_and_the_guest_stays)
{
    int fds[GUEST_FILES_MAX + 5];

    start();
    for (int i = 0; i < GUEST_FILES_MAX + 5; i++) {
        fds[i] = null_fd();
        CHECK_EQ(tell_file((uint64_t)i + 1, fds[i]), 0);
        CHECK_EQ(is_open(fds[i]), i < GUEST_FILES_MAX);
    }
    CHECK_EQ(at.guest->file_count, GUEST_FILES_MAX);
    guests_leave(&at.guests, at.guest);
    for (int i = 0; i < GUEST_FILES_MAX; i++)
        CHECK(!is_open(fds[i]));
    stop();
}

TEST(a_file_told_anew_takes_the_place_of_the_old_one)
{
    int first, second;

    start();
    first = null_fd();
    CHECK_EQ(tell_file(7, first), 0);
    second = null_fd();
    CHECK_EQ(tell_file(7, second), 0);
    CHECK(!is_open(first) && is_open(second));
    CHECK_EQ(at.guest->file_count, 1);
    CHECK_EQ(tell_file(8, -1), -EPROTO); /* a file without its descriptor */
    stop();
}

TEST(descriptors_that_nobody_asked_for_are_closed)
{
    struct message_arm message = {.is_armed = 1};
    int fd;

    start();
    fd = null_fd();
    message_init(&message, MESSAGE_ARMED, sizeof(message));
    CHECK_EQ(guests_take(&at.guests, at.guest, &message, fd), 0);
    CHECK(!is_open(fd));
    stop();
}

TEST(messages_that_are_not_a_guest_s_send_it_away)
{
    static const enum message_type types[] = {MESSAGE_HELLO,  MESSAGE_WELCOME,    MESSAGE_ARM,
                                              MESSAGE_STATUS, MESSAGE_STATUS_GPU, MESSAGE_SET,
                                              MESSAGE_REPLY,  MESSAGE_TYPE_END};
    union {
        struct message_header header;
        char bytes[MESSAGE_SIZE_MAX];
    } message = {.bytes = {0}};

    start();
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        message_init(&message, types[i], sizeof(message));
        CHECK_EQ(guests_take(&at.guests, at.guest, &message, -1), -EPROTO);
    }
    stop();
}

TEST(channels_of_no_file_or_no_gpu_are_passed_over)
{
    const struct message_channel strangers[] = {
        {.file_id = 99, .client = 1, .channel = 2, .engine = 1},
        {.file_id = 1, .client = 1, .channel = 2, .engine = 1, .device_instance = 77},
        {.file_id = 1, .client = 1, .channel = 2, .engine = 1, .device_instance = UINT32_MAX},
    };

    start();
    CHECK_EQ(tell_file(1, null_fd()), 0);
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
        CHECK_EQ(tell_channel(&strangers[i]), 0);
    CHECK(!at.guest->has_objects);
    CHECK_EQ(at.guest->client_count, 0);
    stop();
}

TEST(more_clients_and_channels_than_are_kept_are_no_harm_and_are_said_once)
{
    int kept = dup(STDERR_FILENO), file = memfd_create("words", MFD_CLOEXEC);
    char words[512];

    start();
    CHECK_EQ(tell_file(1, null_fd()), 0);
    CHECK(dup2(file, STDERR_FILENO) == STDERR_FILENO);
    for (uint32_t i = 0; i < 5000; i++) {
        const struct message_channel channel = {
            .file_id = 1, .client = 0x1000 + i, .group = 3, .channel = i + 1, .engine = 9};

        CHECK_EQ(tell_channel(&channel), 0);
    }
    for (uint64_t id = 100; id < 1000; id++)
        CHECK_EQ(tell_file(id, null_fd()), 0);
    CHECK(dup2(kept, STDERR_FILENO) == STDERR_FILENO);
    CHECK(pread(file, words, sizeof(words), 0) < 300);
    close(file);
    close(kept);
    CHECK_EQ(at.guest->client_count, GUEST_CLIENTS_MAX);
    stop();
}

static int answer_arm(uint32_t nonce)
{
    struct message_arm message = {.is_armed = 1, .nonce = nonce};

    message_init(&message, MESSAGE_ARMED, sizeof(message));
    return guests_take(&at.guests, at.guest, &message, -1);
}

TEST(only_an_answer_to_the_newest_question_arms)
{
    start();
    guests_arm(&at.guests, true);
    CHECK_EQ(answer_arm(at.guests.nonce - 1), 0);
    CHECK(!at.guest->is_armed);
    CHECK_EQ(answer_arm(at.guests.nonce), 0);
    CHECK(at.guest->is_armed);
    guests_arm(&at.guests, false);
    CHECK(!at.guest->is_armed);
    CHECK_EQ(answer_arm(at.guests.nonce), 0);
    CHECK(!at.guest->is_armed); /* who says so unasked */
    stop();
}

TEST(a_guest_that_does_not_read_stops_nobody)
{
    start();
    for (int i = 0; i < 5000; i++)
        guests_arm(&at.guests, i % 2);
    stop();
}

TEST(rows_of_the_dead_and_of_a_pid_used_anew_are_reaped)
{
    struct ledger_row dead, reused;
    uint64_t start_time;

    start();
    CHECK_EQ(process_start_time(getpid(), &start_time), 0);
    CHECK_EQ(ledger_attach(at.guests.ledger, 0x7ffffffe, 1, &dead), 0);
    CHECK_EQ(ledger_attach(at.guests.ledger, getpid(), start_time + 1, &reused), 0);
    CHECK_EQ(ledger_reserve(at.guests.ledger, &dead, 0, 1 << 20, REGION_NO_LIMIT), 0);
    CHECK_EQ(ledger_reserve(at.guests.ledger, &reused, 0, 1 << 20, REGION_NO_LIMIT), 0);
    guests_reap_dead_rows(&at.guests);
    CHECK_EQ(ledger_used(at.guests.ledger, 0), 0);
    CHECK_EQ(ledger_reserve(at.guests.ledger, &at.guest->row, 0, 1 << 20, REGION_NO_LIMIT), 0);
    stop();
}

/* The first connection, while at.guest is the second. */
static struct {
    struct guest *guest;
    int here, there;
} first;

static void join_twice(bool is_again)
{
    start();
    CHECK_EQ(ledger_reserve(at.guests.ledger, &at.guest->row, 0, 1 << 20, REGION_NO_LIMIT), 0);
    first.guest = at.guest;
    first.here = at.here;
    first.there = at.there;
    join(is_again);
    CHECK(at.guest != NULL);
    CHECK_EQ(ledger_used(at.guests.ledger, 0), 1 << 20);
}

TEST(a_second_connection_gives_nothing_back_of_what_the_first_one_holds)
{
    join_twice(false);
    CHECK(at.guest->row.index != first.guest->row.index);
    guests_lose(&at.guests, at.guest, SECOND);
    guests_leave(&at.guests, at.guest);
    CHECK_EQ(ledger_used(at.guests.ledger, 0), 1 << 20);
    close(first.here);
    close(first.there);
    stop();
}

TEST(one_that_is_back_before_its_end_was_seen_keeps_its_row)
{
    join_twice(true);
    CHECK_EQ(at.guest->row.index, first.guest->row.index);
    guests_lose(&at.guests, first.guest, SECOND);
    CHECK(!guests_expire(&at.guests, SECOND + GUEST_LOST_NS + 1));
    CHECK_EQ(at.guests.count, 1);
    CHECK_EQ(ledger_used(at.guests.ledger, 0), 1 << 20);
    close(first.here);
    close(first.there);
    stop();
}

static struct {
    uint32_t lines;
    char last[LOG_MESSAGE_SIZE];
} told;

static bool wants_all(enum log_level level, const char *source)
{
    (void)level;
    (void)source;
    return true;
}

static void take_line(enum log_level level, const char *source, const char *message)
{
    (void)level;
    (void)source;
    told.lines++;
    (void)str_format(told.last, sizeof(told.last), "%s", message);
}

static const struct log_sink told_sink = {.wants = wants_all, .write = take_line};

TEST(processes_that_come_and_go_do_not_fill_the_log)
{
    start();
    told.lines = 0;
    log_set_sink(&told_sink);
    for (int i = 0; i < 200; i++) {
        guests_leave(&at.guests, at.guest);
        part();
        join(false);
    }
    CHECK(told.lines >= 99 && told.lines <= 100);
    at.guests.telling_since_ns -= 11 * SECOND; /* a while later */
    guests_leave(&at.guests, at.guest);
    CHECK(told.lines >= 101 && told.lines <= 102);
    CHECK(strstr(told.last, "left"));
    log_set_sink(NULL);
    stop();
}
