/* Lines that supervisors wrote are theirs, whoever passes them on. */
#define LOG_SOURCE "supervisor"

#include "hypervisor/words.h"

#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX       "vgpu: " /* of a line for people (utils/log.h) */
#define READS_A_TURN 32       /* a pipe's worth, so that a flood starves nobody */

struct words {
    int read_fd, write_fd;
    uv_poll_t poll;
    size_t length; /* of what is no whole line yet */
    char text[4096];
};

static void pass_on(const char *line)
{
    if (str_starts_with(line, PREFIX))
        line += strlen(PREFIX);
    if (*line)
        log_info("%s", line);
}

static void take_lines(struct words *words)
{
    char *begin = words->text, *end;

    words->text[words->length] = '\0';
    while ((end = strchr(begin, '\n'))) {
        *end = '\0';
        pass_on(begin);
        begin = end + 1;
    }
    words->length = strlen(begin);
    memmove(words->text, begin, words->length);
    if (words->length < sizeof(words->text) - 1)
        return;
    pass_on(words->text); /* longer than any line of ours: it is passed on in pieces */
    words->length = 0;
}

/* Supervisors drop what they say to a full pipe: it is emptied at once. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct words *words = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t length = read(words->read_fd, words->text + words->length,
                              sizeof(words->text) - 1 - words->length);

        if (length <= 0)
            return; /* we hold the other end ourselves: it does not end */
        words->length += (size_t)length;
        take_lines(words);
    }
}

int words_new(struct words **ret_words, uv_loop_t *loop, struct err *err)
{
    struct words *words = calloc(1, sizeof(*words));
    int fds[2], rc;

    if (!words || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        rc = err_set(err, words ? errno : ENOMEM, "make a pipe for the supervisors' words");
        free(words);
        return rc;
    }
    words->read_fd = fds[0];
    words->write_fd = fds[1];
    words->poll.data = words;
    if (uv_poll_init(loop, &words->poll, words->read_fd) < 0 ||
        uv_poll_start(&words->poll, UV_READABLE, on_readable) < 0) {
        attr_close(&words->read_fd);
        attr_close(&words->write_fd);
        free(words);
        return err_say(err, EIO, "watch the supervisors' words");
    }
    *ret_words = words;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct words *words = handle->data;

    attr_close(&words->read_fd);
    attr_close(&words->write_fd);
    free(words);
}

void words_free(struct words *words)
{
    if (words)
        uv_close((uv_handle_t *)&words->poll, on_closed);
}

int words_fd(const struct words *words)
{
    return words->write_fd;
}
