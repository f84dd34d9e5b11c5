#include "cuda-limiter/tether.h"

#include "cuda-limiter/descriptors.h"
#include "cuda-limiter/guard.h"
#include "cuda-limiter/guest.h"
#include "cuda-limiter/quota.h"
#include "cuda-limiter/teller.h"
#include "ipc/message.h"
#include "utils/attr.h"
#include "utils/clock.h"
#include "utils/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define RETRY_EARLY_NS (5 * NS_PER_MS) /* while a program waits for its first contact */
#define RETRY_FIRST_NS (50 * NS_PER_MS)
#define RETRY_LAST_NS  (250 * NS_PER_MS) /* a cap is to be back within a second of a new one's */
#define CONNECT_MS     1                 /* to a socket that has room at once, or later */
#define HIGH_FD        800               /* out of the program's way */
#define OWN_FDS        8                 /* that we keep, and a few to spare */
#define TABLE_LEAST    64                /* places in every process's table */

static struct {
    int socket; /* 0: none; ours is never that */
    uint64_t identity;
    bool is_welcome, is_armed, owes_armed;
    struct message_arm arm; /* the last that came */
    uint64_t lost_count, retry_ns, retry_step_ns;
    int least_fd; /* 0: not yet known */
} tether;

/* The number that begins at or after `text`, or 0. */
static uint64_t read_number(const char *text)
{
    uint64_t number = 0;

    while (*text == ' ' || *text == '\t')
        text++;
    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    return number;
}

/* The begin of a file of /proc/self, as a string; empty where there is none. */
static void read_proc(const char *path, char *text, size_t size)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);

    text[length > 0 ? length : 0] = '\0';
}

/* --- descriptors ------------------------------------------------------------------------------ */

/*
 * High numbers, but none that makes the kernel enlarge the process's table: with more than one
 * thread (libcuda has one before it opens the driver) it waits for a grace period of RCU, 30 ms on
 * an H200's machine.
 */
static int find_least(void)
{
    struct rlimit limit;
    char text[2048];
    const char *at;
    uint64_t places = TABLE_LEAST;

    read_proc("/proc/self/status", text, sizeof(text));
    at = strstr(text, "\nFDSize:");
    if (at)
        places = read_number(at + sizeof("\nFDSize:") - 1);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < places)
        places = limit.rlim_cur;
    if (places > HIGH_FD + OWN_FDS)
        return HIGH_FD;
    return places > OWN_FDS ? (int)places - OWN_FDS : OWN_FDS;
}

int tether_keep(int fd)
{
    int high;

    if (!tether.least_fd)
        tether.least_fd = find_least();
    high = fcntl(fd, F_DUPFD_CLOEXEC, tether.least_fd);
    if (high >= 0) {
        attr_close(&fd);
        fd = high;
    }
    (void)descriptors_set(fd, DESCRIPTORS_OWN); /* whatever the number was, it is free now */
    return fd;
}

static void drop_socket(void)
{
    int fd = tether.socket;

    tether.socket = 0;
    tether.is_welcome = tether.is_armed = tether.owes_armed = false;
    if (fd <= 0)
        return;
    (void)descriptors_set(fd, 0);
    /* A number that the program has put to another use is not ours to close. */
    if (descriptors_identify(fd) == tether.identity)
        attr_close(&fd);
}

static void lose(uint64_t now_ns)
{
    drop_socket();
    tether.lost_count++;
    tether.retry_step_ns = RETRY_FIRST_NS;
    tether.retry_ns = now_ns + RETRY_FIRST_NS;
    teller_begin_anew();
}

/* --- hello ------------------------------------------------------------------------------------ */

/* Start time and name out of /proc/self/stat: "pid (comm) state ...", the 22nd field of all. */
static void fill_hello(struct message_hello *hello)
{
    char text[1024], *at, *name;
    size_t name_length;

    read_proc("/proc/self/stat", text, sizeof(text));
    name = strchr(text, '(');
    at = strrchr(text, ')');
    if (!name || !at)
        return;
    name_length = (size_t)(at - name) - 1;
    if (name_length > sizeof(hello->comm) - 1)
        name_length = sizeof(hello->comm) - 1;
    memcpy(hello->comm, name + 1, name_length);
    for (int field = 2; field < 22 && at; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    hello->start_time = at ? read_number(at) : 0;
}

static int say_hello(int fd)
{
    struct message_hello hello = {.role = MESSAGE_GUEST, .pid = getpid()};
    int fds[2];
    size_t fd_count = quota_get_fds(fds) ? 2 : 0;

    message_init(&hello, MESSAGE_HELLO, sizeof(hello));
    fill_hello(&hello);
    return sock_send(fd, &hello, sizeof(hello), fds, fd_count);
}

static void connect_anew(uint64_t now_ns)
{
    uint64_t step_ns = tether.retry_step_ns ? tether.retry_step_ns : RETRY_EARLY_NS;
    struct err err;
    int fd = -1;

    if (now_ns < tether.retry_ns)
        return;
    if (sock_connect(&fd, guest_control_path(), CONNECT_MS, &err) < 0 || say_hello(fd) < 0) {
        attr_close(&fd);
        tether.retry_ns = now_ns + step_ns;
        tether.retry_step_ns = step_ns * 2 < RETRY_LAST_NS ? step_ns * 2 : RETRY_LAST_NS;
        return;
    }
    tether.socket = tether_keep(fd);
    tether.identity = descriptors_identify(tether.socket);
}

/* --- what comes ------------------------------------------------------------------------------- */

static void on_welcome(const struct message_welcome *welcome, struct sock_fds *fds)
{
    struct ledger_row row = {.index = welcome->row, .stamp = welcome->pid_stamp};
    int control_fd, ledger_fd;

    if (welcome->status < 0 || fds->count != 2)
        return;
    control_fd = tether_keep(TAKE_FD(fds->values[0]));
    ledger_fd = tether_keep(TAKE_FD(fds->values[1]));
    if (quota_join(control_fd, ledger_fd, &row) < 0)
        return; /* another version: as without a supervisor, until there is one of ours */
    tether.is_welcome = true;
    tether.retry_step_ns = RETRY_FIRST_NS;
    teller_begin_anew();
}

static void on_arm(const struct message_arm *arm)
{
    tether.is_armed = arm->is_armed != 0;
    tether.arm = *arm;
    tether.owes_armed = true;
    if (guard_is_running())
        tether_answer_arm();
}

void tether_answer_arm(void)
{
    struct message_arm *arm = &tether.arm;

    if (!tether.owes_armed)
        return;
    message_init(arm, MESSAGE_ARMED, sizeof(*arm));
    /*
     * Not sent, not armed: the supervisor then disables nothing. It is tried again with what else
     * waits.
     */
    if (tether_send(arm, sizeof(*arm), NULL, 0) < 0)
        return;
    tether.owes_armed = false;
    teller_send_counters();
}

/* Returns whether there may be more. */
static bool receive(uint64_t now_ns)
{
    union {
        struct message_header header;
        struct message_welcome welcome;
        struct message_arm arm;
        char bytes[MESSAGE_SIZE_MAX];
    } message;
    struct sock_fds fds = {.values = {-1, -1}, .count = 2};
    ssize_t length = sock_receive(tether.socket, &message, sizeof(message), &fds, 0);
    int type;

    if (length == -EAGAIN)
        return false;
    if (length <= 0) {
        lose(now_ns);
        return false;
    }
    type = message_check(&message, (size_t)length);
    if (type == MESSAGE_WELCOME)
        on_welcome(&message.welcome, &fds);
    else if (type == MESSAGE_ARM)
        on_arm(&message.arm);
    attr_close(&fds.values[0]);
    attr_close(&fds.values[1]);
    return true;
}

void tether_poll(uint64_t now_ns)
{
    if (tether.socket > 0 && descriptors_identify(tether.socket) != tether.identity)
        lose(now_ns);
    if (tether.socket <= 0)
        connect_anew(now_ns);
    while (tether.socket > 0 && receive(now_ns))
        ;
}

/* --- questions -------------------------------------------------------------------------------- */

int tether_fd(void)
{
    return tether.socket > 0 ? tether.socket : -1;
}

uint64_t tether_retry_ns(void)
{
    return tether.retry_ns;
}

bool tether_is_welcome(void)
{
    return tether.is_welcome;
}

bool tether_is_armed(void)
{
    return tether.is_armed;
}

bool tether_owes_armed(void)
{
    return tether.owes_armed;
}

uint64_t tether_lost_count(void)
{
    return tether.lost_count;
}

int tether_send(const void *message, size_t size, const int *fds, size_t fd_count)
{
    if (tether.socket <= 0)
        return -ENOTCONN;
    if (descriptors_identify(tether.socket) != tether.identity)
        return -EBADF; /* tether_poll() will find out and begin anew */
    return sock_send(tether.socket, message, size, fds, fd_count);
}

void tether_forget(void)
{
    drop_socket();
    tether.lost_count = 0;
    tether.retry_ns = tether.retry_step_ns = 0;
    tether.least_fd = 0; /* a child's table is as large as it needs to be */
}

void tether_lose_descriptor(int fd)
{
    if (fd == tether.socket)
        lose(clock_now_ns());
}
