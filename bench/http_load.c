/*
 * How many requests a second the daemon's HTTP server answers: `http_load HTTP_FAKE PATH...` starts
 * that program (tests/guest/http_fake.c), keeps eight connections busy for two seconds a path, one
 * request each at a time, and prints the number and the latency.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 8
#define SAMPLES_MAX 1000000
#define SECONDS     2

static struct {
    char request[512];
    size_t request_length;
    struct pollfd polled[CONNECTIONS];
    uint64_t sent_ns[CONNECTIONS];
    size_t answer_left[CONNECTIONS]; /* bytes of the answer's body; 0: its header is to come */
    uint32_t latency_ns[SAMPLES_MAX];
    size_t count;
} bench;

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void fail(const char *words)
{
    perror(words);
    exit(1);
}

static void send_request(size_t i)
{
    bench.sent_ns[i] = now_ns();
    if (send(bench.polled[i].fd, bench.request, bench.request_length, MSG_NOSIGNAL) !=
        (ssize_t)bench.request_length)
        fail("http_load: send");
}

/* How much of the body follows what was received with the header. */
static size_t body_left(const char *received, size_t length)
{
    const char *body = strstr(received, "\r\n\r\n");
    const char *field = strstr(received, "Content-Length: ");

    if (strncmp(received, "HTTP/1.1 200", 12) != 0 || !body || !field) {
        (void)fprintf(stderr, "http_load: not 200: %.60s\n", received);
        exit(1);
    }
    return strtoul(field + strlen("Content-Length: "), NULL, 10) -
           (length - (size_t)(body + 4 - received));
}

static void take_answer(size_t i)
{
    char received[65536];
    ssize_t got = recv(bench.polled[i].fd, received, sizeof(received) - 1, 0);

    if (got <= 0)
        fail("http_load: recv");
    received[got] = '\0';
    if (bench.answer_left[i])
        bench.answer_left[i] -= (size_t)got;
    else
        bench.answer_left[i] = body_left(received, (size_t)got);
    if (bench.answer_left[i])
        return;
    if (bench.count < SAMPLES_MAX)
        bench.latency_ns[bench.count++] = (uint32_t)(now_ns() - bench.sent_ns[i]);
    send_request(i);
}

static void connect_all(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (size_t i = 0; i < CONNECTIONS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
            fail("http_load: connect");
        bench.polled[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

/* Starts the server; returns its port. It ends when `ret_stdin` is closed. */
static uint16_t start_server(char *program, int *ret_stdin)
{
    static char address[] = "127.0.0.1:0";
    char *arguments[] = {program, address, NULL};
    int in[2], out[2];
    unsigned int port;
    FILE *words;

    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        fail("http_load: pipe");
    if (fork() == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)execv(program, arguments);
        _exit(127);
    }
    words = fdopen(out[0], "r");
    if (!words || fscanf(words, "port %u ready", &port) != 1)
        fail("http_load: start the server");
    *ret_stdin = in[1];
    return (uint16_t)port;
}

static void measure(const char *path)
{
    uint64_t begin_ns = now_ns(), end_ns = begin_ns + SECONDS * UINT64_C(1000000000);

    bench.count = 0;
    bench.request_length = (size_t)snprintf(bench.request, sizeof(bench.request),
                                            "GET %.400s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    for (size_t i = 0; i < CONNECTIONS; i++)
        send_request(i);
    while (now_ns() < end_ns) {
        if (poll(bench.polled, CONNECTIONS, 1000) <= 0)
            fail("http_load: poll");
        for (size_t i = 0; i < CONNECTIONS; i++)
            if (bench.polled[i].revents)
                take_answer(i);
    }
    qsort(bench.latency_ns, bench.count, sizeof(*bench.latency_ns), compare);
    printf("%s: %.0f requests a second, latency %.1f us (median), %.1f us (99 %%)\n", path,
           (double)bench.count / ((double)(now_ns() - begin_ns) / 1e9),
           bench.latency_ns[bench.count / 2] / 1e3, bench.latency_ns[bench.count * 99 / 100] / 1e3);
}

int main(int count, char **arguments)
{
    uint16_t port;
    int server;

    if (count < 3) {
        (void)fprintf(stderr, "usage: http_load HTTP_FAKE PATH...\n");
        return 2;
    }
    port = start_server(arguments[1], &server);
    for (int i = 2; i < count; i++) {
        connect_all(port);
        measure(arguments[i]);
        for (size_t each = 0; each < CONNECTIONS; each++) {
            (void)close(bench.polled[each].fd);
            bench.answer_left[each] = 0;
        }
    }
    (void)close(server);
    (void)wait(NULL);
    return 0;
}
