#include "cli/child.h"

#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_NS (2 * NS_PER_SEC)

void child_init(struct child *child)
{
    *child = (struct child){.output_fd = -1, .input_fd = -1};
}

void child_add(struct child *child, const char *word)
{
    if (child->count < CHILD_WORDS_MAX)
        child->words[child->count++] = word;
}

static void add_copy(struct child *child, const char *word, size_t length)
{
    char *copy = child->copies + child->copied;

    if (child->copied + length + 1 > sizeof(child->copies))
        return;
    memcpy(copy, word, length);
    copy[length] = '\0';
    child->copied += length + 1;
    child_add(child, copy);
}

void child_add_list(struct child *child, const char *words)
{
    for (words += strspn(words, " "); *words; words += strspn(words, " ")) {
        size_t length = strcspn(words, " ");

        add_copy(child, words, length);
        words += length;
    }
}

void child_add_format(struct child *child, const char *format, ...)
{
    char word[256];
    struct str str;
    va_list args;

    str_init(&str, word, sizeof(word));
    va_start(args, format);
    str_add_list(&str, format, args);
    va_end(args);
    add_copy(child, word, str.length);
}

static int spawn(struct child *child, int input_fd)
{
    union {
        const char **words;
        char **argv; /* posix_spawn() leaves them alone */
    } arguments = {.words = child->words};
    posix_spawn_file_actions_t actions;
    int rc = posix_spawn_file_actions_init(&actions);

    if (rc)
        return rc;
    rc = posix_spawn_file_actions_adddup2(&actions, input_fd, STDIN_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&actions, child->output_fd, STDOUT_FILENO);
    child->words[child->count] = NULL;
    if (!rc)
        rc = posix_spawnp(&child->pid, child->words[0], &actions, NULL, arguments.argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions); /* cannot fail */
    return rc;
}

int child_start(struct child *child, bool with_input, struct err *err)
{
    CLEANUP_CLOSE int input_fd = -1;
    int ends[2], rc;

    child->output_fd = memfd_create("vgpu-child", MFD_CLOEXEC);
    if (child->output_fd < 0)
        return err_set(err, errno, "start '%s'", child->words[0]);
    if (with_input) {
        if (pipe2(ends, O_CLOEXEC) < 0)
            return err_set(err, errno, "start '%s'", child->words[0]);
        input_fd = ends[0];
        child->input_fd = ends[1];
    } else {
        input_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (input_fd < 0)
            return err_set(err, errno, "open /dev/null");
    }
    rc = spawn(child, input_fd);
    return rc ? err_set(err, rc, "start '%s'", child->words[0]) : 0;
}

/* Whether it has ended by then; the status is -1 where it cannot be had. */
static bool has_ended(struct child *child, uint64_t timeout_ns, int *ret_status)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, child->pid, 0), .events = POLLIN};
    int rc = poll(&end, 1, (int)(timeout_ns / NS_PER_MS));

    attr_close(&end.fd);
    if (rc <= 0)
        return false;
    if (waitpid(child->pid, ret_status, 0) < 0)
        *ret_status = -1;
    child->pid = 0;
    return true;
}

static void end(struct child *child)
{
    int status;

    if (!child->pid)
        return;
    (void)kill(child->pid, SIGTERM); /* it may have ended */
    if (has_ended(child, GRACE_NS, &status))
        return;
    (void)kill(child->pid, SIGKILL);
    (void)has_ended(child, GRACE_NS, &status); /* nothing more can be done */
}

int child_wait(struct child *child, uint64_t timeout_ns, struct err *err)
{
    int status = 0;

    if (!has_ended(child, timeout_ns, &status)) {
        end(child);
        return err_say(err, ETIMEDOUT, "'%s' did not end in time", child->words[0]);
    }
    if (status < 0)
        return err_say(err, ECHILD, "'%s' has ended unseen", child->words[0]);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void child_read(const struct child *child, char *text, size_t size)
{
    ssize_t length = pread(child->output_fd, text, size - 1, 0);

    text[length > 0 ? length : 0] = '\0';
}

void child_fini(struct child *child)
{
    end(child);
    attr_close(&child->output_fd);
    attr_close(&child->input_fd);
}
