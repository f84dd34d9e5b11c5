/*
 * hostile - a process of a tenant that tries to harm its supervisor and its neighbours:
 *
 *   hostile lengths|types|random     messages that are none, each on its own connection
 *   hostile objects                  files, groups and channels without number and reason
 *   hostile descriptors              descriptors of every kind, where they belong and elsewhere
 *   hostile connections              connections without number, requests without reading
 *   hostile ledger SECONDS           garbage in the ledger's pages, again and again; after SIGTERM
 *                                    the largest figures there are
 *   hostile ledgers                  joins anew with pages that are no ledger
 *   hostile region                   tries to change what only the supervisor may change
 *
 * It prints `done` where it has done its worst; what it is refused is not its concern. Status 1:
 * something was allowed that must not be.
 */
#include "ipc/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS       2000
#define CONNECTIONS  4000
#define DESCRIPTORS  253 /* as many as one message may carry */
#define KINDS        8
#define ANSWER_MS    10000
#define LEDGER_BYTES (16u << 20) /* more than it is: what lies beyond is not written */

union packet {
    struct message_header header;
    struct message_hello hello;
    struct message_file file;
    struct message_group group;
    struct message_channel channel;
    struct message_freed freed;
    struct message_arm arm;
    struct message_counters counters;
    struct message_set set;
    unsigned char bytes[2 * MESSAGE_SIZE_MAX];
};

static uint32_t seed = 4711;

static uint32_t next_random(void)
{
    seed = seed * 1103515245u + 12345u;
    return seed >> 8;
}

static int connect_control(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("VGPU_CONTROL");
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (!path || fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
        fprintf(stderr, "hostile: no tenant, or no socket: %d\n", errno);
        exit(3);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void fill_header(union packet *packet, uint32_t type, size_t length)
{
    packet->header = (struct message_header){.magic = MESSAGE_MAGIC,
                                             .version = MESSAGE_VERSION,
                                             .type = type,
                                             .length = (uint32_t)length};
}

static int send_with(int fd, const union packet *packet, size_t length, const int *fds,
                     size_t fd_count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS)];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_len = length};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    memcpy(&part.iov_base, &packet, sizeof(packet)); /* sendmsg() does not write there */
    memset(&control, 0, sizeof(control));
    if (fd_count) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * fd_count);
    }
    return sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int say(int fd, const union packet *packet, size_t length)
{
    return send_with(fd, packet, length, NULL, 0);
}

/* Waits a little where the supervisor has not yet read what came before. */
static int say_patiently(int fd, const union packet *packet, size_t length)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
        int rc = say(fd, packet, length);

        if (rc != -EAGAIN)
            return rc;
        (void)poll(&poll_fd, 1, ANSWER_MS);
    }
}

static void say_hello(int fd, uint32_t role, const int *fds, size_t fd_count)
{
    union packet packet = {.hello = {.role = role, .pid = 1}};

    memset(packet.hello.comm, 'x', sizeof(packet.hello.comm));
    fill_header(&packet, MESSAGE_HELLO, sizeof(packet.hello));
    (void)send_with(fd, &packet, sizeof(packet.hello), fds, fd_count);
}

/* The two descriptors of WELCOME; -1 where it does not come. */
static void take_welcome(int fd, int ret_fds[2])
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 2)];
        struct cmsghdr align;
    } control;
    union packet packet;
    struct iovec part = {.iov_base = packet.bytes, .iov_len = sizeof(packet)};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    struct cmsghdr *rights;

    ret_fds[0] = ret_fds[1] = -1;
    if (poll(&poll_fd, 1, ANSWER_MS) <= 0 || recvmsg(fd, &header, MSG_CMSG_CLOEXEC) <= 0)
        return;
    rights = CMSG_FIRSTHDR(&header);
    if (rights && rights->cmsg_len == CMSG_LEN(2 * sizeof(int)))
        memcpy(ret_fds, CMSG_DATA(rights), 2 * sizeof(int));
}

static int join(int ret_fds[2])
{
    int fd = connect_control();

    if (fd < 0)
        return -1;
    say_hello(fd, MESSAGE_GUEST, NULL, 0);
    take_welcome(fd, ret_fds);
    return fd;
}

/* --- messages that are none --- */

static void run_lengths(void)
{
    union packet packet;

    for (uint32_t type = 0; type <= MESSAGE_TYPE_END; type++)
        for (size_t length = 0; length < sizeof(packet); length = length * 2 + 7) {
            int fd = connect_control();

            memset(&packet, 0xff, sizeof(packet));
            fill_header(&packet, type, length);
            (void)say(fd, &packet, length);
            packet.header.length = UINT32_MAX;
            (void)say(fd, &packet, length);
            (void)close(fd);
        }
}

static void run_types(void)
{
    static const uint32_t types[] = {
        0,          MESSAGE_WELCOME, MESSAGE_STATUS_GPU, MESSAGE_REPLY, MESSAGE_TYPE_END,
        0x7fffffff, UINT32_MAX};
    union packet packet;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        for (int is_joined = 0; is_joined < 2; is_joined++) {
            int fds[2], fd = is_joined ? join(fds) : connect_control();

            memset(&packet, 0xff, sizeof(packet));
            fill_header(&packet, types[i], sizeof(struct message_header));
            (void)say(fd, &packet, sizeof(struct message_header));
            packet.header.version++;
            (void)say(fd, &packet, sizeof(struct message_header));
            (void)close(fd);
        }
}

/* The right length and type, and everything else by chance. */
static void fill_random(union packet *packet)
{
    static const size_t lengths[MESSAGE_TYPE_END] = {
        [MESSAGE_HELLO] = sizeof(struct message_hello),
        [MESSAGE_FILE] = sizeof(struct message_file),
        [MESSAGE_GROUP] = sizeof(struct message_group),
        [MESSAGE_CHANNEL] = sizeof(struct message_channel),
        [MESSAGE_FREED] = sizeof(struct message_freed),
        [MESSAGE_CLOSED] = sizeof(struct message_file),
        [MESSAGE_ARMED] = sizeof(struct message_arm),
        [MESSAGE_COUNTERS] = sizeof(struct message_counters)};
    uint32_t type = next_random() % MESSAGE_TYPE_END;

    for (size_t i = 0; i < sizeof(struct message_set); i++)
        packet->bytes[i] = (unsigned char)next_random();
    fill_header(packet, type, lengths[type] ? lengths[type] : sizeof(struct message_header));
}

static void run_random(void)
{
    union packet packet;
    int fds[2], fd = -1;

    for (int i = 0; i < ROUNDS; i++) {
        if (fd < 0)
            fd = join(fds);
        fill_random(&packet);
        if (say_patiently(fd, &packet, packet.header.length) < 0) {
            (void)close(fd);
            fd = -1;
        }
    }
}

/* --- too much of what is allowed --- */

static void run_objects(void)
{
    int fds[2], fd = join(fds), driver = open("/dev/nvidiactl", O_RDWR | O_CLOEXEC);
    union packet packet;

    for (uint32_t i = 0; i < 200 * ROUNDS; i++) {
        packet.channel = (struct message_channel){.file_id = i % 100,
                                                  .client = i,
                                                  .device_instance = i % 3 ? 0 : next_random(),
                                                  .subdevice = i,
                                                  .group = i % 1000,
                                                  .channel = i,
                                                  .engine = i % 7};
        fill_header(&packet, MESSAGE_CHANNEL, sizeof(packet.channel));
        if (i % 1000 == 0) {
            packet.file.file_id = i / 1000 % 100;
            fill_header(&packet, MESSAGE_FILE, sizeof(packet.file));
            (void)send_with(fd, &packet, sizeof(packet.file), &driver, 1);
        } else {
            (void)say_patiently(fd, &packet, packet.header.length);
        }
    }
}

static void open_kinds(int kinds[KINDS])
{
    int ends[2] = {-1, -1}, sockets[2] = {-1, -1};

    (void)!pipe2(ends, O_CLOEXEC);
    (void)!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets);
    kinds[0] = ends[0];
    kinds[1] = ends[1];
    kinds[2] = sockets[0];
    kinds[3] = open("/dev/zero", O_RDWR | O_CLOEXEC);
    kinds[4] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    kinds[5] = eventfd(0, EFD_CLOEXEC);
    kinds[6] = epoll_create1(EPOLL_CLOEXEC);
    kinds[7] = memfd_create("hostile", MFD_CLOEXEC);
}

static void run_descriptors(void)
{
    static int many[DESCRIPTORS];
    int kinds[KINDS], fds[2];
    union packet packet;

    open_kinds(kinds);
    for (int i = 0; i < DESCRIPTORS; i++)
        many[i] = kinds[i % KINDS];
    for (int i = 0; i < ROUNDS; i++) {
        size_t count = i % 4 ? 1 + next_random() % 3 : DESCRIPTORS;
        int fd = i % 5 ? join(fds) : connect_control();

        memset(&packet, 0, sizeof(packet));
        fill_random(&packet);
        if (i % 2) {
            packet.file.file_id = (uint64_t)i % 7;
            fill_header(&packet, MESSAGE_FILE, sizeof(packet.file));
        }
        (void)send_with(fd, &packet, packet.header.length, many, count);
        packet.channel =
            (struct message_channel){.file_id = (uint64_t)i % 7, .client = 1, .channel = 2};
        fill_header(&packet, MESSAGE_CHANNEL, sizeof(packet.channel));
        (void)say(fd, &packet, sizeof(packet.channel));
        (void)close(fd);
        if (i % 5) {
            (void)close(fds[0]);
            (void)close(fds[1]);
        }
    }
}

static void run_connections(void)
{
    struct rlimit limit;
    union packet packet;
    int opened = 0;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* where it may not, it has fewer connections */
    }
    fill_header(&packet, MESSAGE_STATUS, sizeof(packet.header));
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = connect_control();

        if (fd < 0)
            continue;
        opened++;
        if (i % 3 == 0)
            say_hello(fd, MESSAGE_PEER, NULL, 0);
        for (int request = 0; i % 3 == 1 && request < 50; request++)
            (void)say(fd, &packet, sizeof(packet.header));
    }
    printf("# %d connections\n", opened);
}

/* --- the region --- */

static unsigned char *map_ledger(size_t *ret_bytes)
{
    struct stat stat;
    int fds[2];
    void *memory;

    (void)join(fds);
    if (fds[1] < 0 || fstat(fds[1], &stat) < 0) {
        fprintf(stderr, "hostile: no ledger\n");
        exit(3);
    }
    memory = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
    if (memory == MAP_FAILED)
        exit(3);
    *ret_bytes = (size_t)stat.st_size;
    return memory;
}

static volatile sig_atomic_t is_ending;

static void on_end(int number)
{
    is_ending = number;
}

static void run_ledger(unsigned long seconds)
{
    size_t bytes;
    unsigned char *ledger = map_ledger(&bytes);
    time_t end = time(NULL) + (time_t)seconds;

    (void)signal(SIGTERM, on_end);
    for (unsigned int round = 0; !is_ending && time(NULL) <= end; round++) {
        if (round % 4 == 0)
            memset(ledger, 0xff, bytes);
        else if (round % 4 == 1)
            memset(ledger, 0, bytes);
        else
            for (size_t i = 0; i < bytes; i++)
                ledger[i] = (unsigned char)next_random();
    }
    memset(ledger, 0xff, bytes);
}

static void run_ledgers(void)
{
    for (int i = 0; i < ROUNDS / 10; i++) {
        int fds[2], fd = connect_control(), unsealed, sealed;

        unsealed = memfd_create("hostile", MFD_CLOEXEC);
        sealed = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        (void)!ftruncate(unsealed, LEDGER_BYTES);
        (void)!ftruncate(sealed, i % 2 ? LEDGER_BYTES : 1);
        (void)fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
        fds[0] = unsealed;
        fds[1] = i % 3 ? sealed : unsealed;
        say_hello(fd, MESSAGE_GUEST, fds, 2);
        (void)!ftruncate(unsealed, 0);
        (void)close(fd);
        (void)close(sealed);
        (void)close(unsealed);
    }
}

static int run_region(void)
{
    int fds[2], failures = 0;
    void *page;

    (void)join(fds);
    if (fds[0] < 0)
        return 3;
    page = mmap(NULL, sizeof(struct region_control), PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    failures += page != MAP_FAILED;
    page = mmap(NULL, sizeof(struct region_control), PROT_READ, MAP_SHARED, fds[0], 0);
    failures += page == MAP_FAILED;
    failures += page != MAP_FAILED &&
                mprotect(page, sizeof(struct region_control), PROT_READ | PROT_WRITE) == 0;
    failures += pwrite(fds[0], "", 1, 0) >= 0;
    for (int i = 0; i < 2; i++) {
        failures += ftruncate(fds[i], 0) == 0;
        failures += ftruncate(fds[i], LEDGER_BYTES * 4L) == 0;
        failures += fcntl(fds[i], F_ADD_SEALS, F_SEAL_WRITE) == 0;
    }
    if (failures)
        fprintf(stderr, "hostile: %d of what must not be was allowed\n", failures);
    return failures ? 1 : 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    int status = 0;

    (void)prctl(PR_SET_NAME, "\xff\x1b[2J\"");

    if (strcmp(mode, "lengths") == 0)
        run_lengths();
    else if (strcmp(mode, "types") == 0)
        run_types();
    else if (strcmp(mode, "random") == 0)
        run_random();
    else if (strcmp(mode, "objects") == 0)
        run_objects();
    else if (strcmp(mode, "descriptors") == 0)
        run_descriptors();
    else if (strcmp(mode, "connections") == 0)
        run_connections();
    else if (strcmp(mode, "ledger") == 0)
        run_ledger(argc > 2 ? strtoul(argv[2], NULL, 10) : 1);
    else if (strcmp(mode, "ledgers") == 0)
        run_ledgers();
    else if (strcmp(mode, "region") == 0)
        status = run_region();
    else
        return 2;
    puts("done");
    (void)fflush(stdout);
    if (argc > 2 && strcmp(argv[argc - 1], "stay") == 0)
        (void)pause();
    return status;
}
