#include "hypervisor/words.h"

#include "tests/harness.h"

#include "utils/clock.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS (10 * NS_PER_SEC)

static struct {
    uv_loop_t loop;
    struct words *words;
    uint32_t lines;
    char last[LOG_MESSAGE_SIZE];
} at;

static bool wants(enum log_level level, const char *source)
{
    return level <= LOG_LEVEL_INFO && str_equals(source, "supervisor");
}

static void take(enum log_level level, const char *source, const char *message)
{
    (void)level;
    (void)source;
    at.lines++;
    (void)str_format(at.last, sizeof(at.last), "%s", message);
}

static const struct log_sink sink = {.wants = wants, .write = take};

static void start(void)
{
    struct err err;

    memset(&at, 0, sizeof(at));
    CHECK_EQ(uv_loop_init(&at.loop), 0);
    CHECK_OK(words_new(&at.words, &at.loop, &err), &err);
    log_set_sink(&sink);
}

static void stop(void)
{
    log_set_sink(NULL);
    words_free(at.words);
    while (uv_run(&at.loop, UV_RUN_DEFAULT))
        ;
    CHECK_EQ(uv_loop_close(&at.loop), 0);
}

static bool say(const char *text)
{
    return write(words_fd(at.words), text, strlen(text)) == (ssize_t)strlen(text);
}

TEST(lines_are_passed_on_whole)
{
    start();
    CHECK(say("vgpu: tenant 'a' begins\nvgpu: pro"));
    (void)uv_run(&at.loop, UV_RUN_NOWAIT);
    CHECK_EQ(at.lines, 1);
    CHECK_STR_EQ(at.last, "tenant 'a' begins");
    CHECK(say("cess 7 joined\n\n"));
    (void)uv_run(&at.loop, UV_RUN_NOWAIT);
    CHECK_EQ(at.lines, 2);
    CHECK_STR_EQ(at.last, "process 7 joined");
    stop();
}

TEST(a_full_pipe_is_emptied_in_one_turn)
{
    uint32_t said = 0;

    start();
    while (say("vgpu: a line of a supervisor that has much to say, and says it all of a sudden\n"))
        said++;
    CHECK_EQ(errno, EAGAIN);
    CHECK(said > 500);
    (void)uv_run(&at.loop, UV_RUN_NOWAIT);
    CHECK_EQ(at.lines, said);
    stop();
}

/* Fills a pipe whose descriptions are as libuv leaves them: they wait. */
static void fill(int fd)
{
    char bytes[4096] = "";

    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (write(fd, bytes, sizeof(bytes)) > 0)
        ;
    while (write(fd, bytes, 1) > 0)
        ;
    CHECK_EQ(fcntl(fd, F_SETFL, 0), 0);
}

TEST(a_supervisor_does_not_wait_for_a_daemon_that_does_not_read)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    int pipe_fds[2], status = 0;
    pid_t pid, ended = 0;

    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    fill(pipe_fds[1]);
    pid = fork();
    if (pid == 0) {
        (void)dup2(pipe_fds[1], STDERR_FILENO);
        (void)execl(SUPERVISOR_FILE, "vgpu-supervisor", NULL); /* it has to say how it is used */
        _exit(99);
    }
    while (!ended && clock_now_ns() < end_ns) {
        ended = waitpid(pid, &status, WNOHANG);
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
    }
    if (!ended) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    CHECK_EQ(ended, pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 2);
    CHECK_EQ(fcntl(pipe_fds[1], F_GETFL) & O_NONBLOCK, 0); /* ours was let be */
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}
