#include "utils/log.h"

#include "tests/harness.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What `write` puts on a pipe that stands for the log, without the wait for more. */
struct capture {
    int ends[2];
    char text[4096];
};

static void capture_begin(struct capture *capture)
{
    CHECK_EQ(pipe2(capture->ends, O_CLOEXEC | O_NONBLOCK), 0);
}

static const char *capture_read(struct capture *capture)
{
    ssize_t length = read(capture->ends[0], capture->text, sizeof(capture->text) - 1);

    capture->text[length < 0 ? 0 : length] = '\0';
    return capture->text;
}

static void capture_end(struct capture *capture)
{
    log_set_fd(-1);
    log_set_level(LOG_LEVEL_WARN);
    CHECK_EQ(close(capture->ends[0]), 0);
    CHECK_EQ(close(capture->ends[1]), 0);
}

TEST(a_line_in_a_file_has_time_level_and_pid)
{
    struct capture capture;
    char wanted[64];

    capture_begin(&capture);
    log_set_fd(capture.ends[1]);
    log_error("tenant '%s': %d of %u", "a", -3, 8u);
    CHECK(str_format(wanted, sizeof(wanted), "Z error [%d] tenant 'a': -3 of 8\n", (int)getpid()));
    (void)capture_read(&capture);
    CHECK_EQ(strlen(capture.text), strlen("2024-01-01T00:00:00.000") + strlen(wanted));
    CHECK_STR_EQ(capture.text + strlen("2024-01-01T00:00:00.000"), wanted);
    CHECK(capture.text[4] == '-' && capture.text[10] == 'T' && capture.text[19] == '.');
    capture_end(&capture);
}

TEST(what_is_below_the_level_is_not_written)
{
    struct capture capture;

    capture_begin(&capture);
    log_set_fd(capture.ends[1]);
    log_info("quiet by default");
    CHECK_STR_EQ(capture_read(&capture), "");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("now heard");
    CHECK(strstr(capture_read(&capture), " debug [") != NULL);
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("not heard");
    CHECK_STR_EQ(capture_read(&capture), "");
    capture_end(&capture);
}

TEST(to_people_a_line_begins_with_the_programs_name)
{
    struct capture capture;
    int saved = dup(STDERR_FILENO);

    CHECK(saved >= 0);
    capture_begin(&capture);
    CHECK(dup2(capture.ends[1], STDERR_FILENO) >= 0);
    log_warn("pod '%s' is gone", "x");
    CHECK(dup2(saved, STDERR_FILENO) >= 0);
    CHECK_STR_EQ(capture_read(&capture), "vgpu: pod 'x' is gone\n");
    CHECK_EQ(close(saved), 0);
    capture_end(&capture);
}

TEST(a_line_too_long_is_cut_and_still_one_line)
{
    struct capture capture;
    char words[3000];

    memset(words, 'w', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    capture_begin(&capture);
    log_set_fd(capture.ends[1]);
    log_error("%s", words);
    (void)capture_read(&capture);
    CHECK(strlen(capture.text) <= 1024);
    CHECK(capture.text[strlen(capture.text) - 1] == '\n');
    capture_end(&capture);
}

TEST(logging_keeps_errno_even_where_nobody_reads)
{
    struct capture capture;

    capture_begin(&capture);
    log_set_fd(capture.ends[0]); /* not open for writing */
    errno = ENOTDIR;
    log_error("lost");
    CHECK_EQ(errno, ENOTDIR);
    capture_end(&capture);
}

static struct {
    enum log_level level;
    char source[64], message[LOG_MESSAGE_SIZE];
} taken;

static bool wants_no_debug(enum log_level level, const char *source)
{
    return level < LOG_LEVEL_DEBUG;
}

static void take(enum log_level level, const char *source, const char *message)
{
    const char *slash = strrchr(source, '/');

    taken.level = level;
    CHECK(str_format(taken.source, sizeof(taken.source), "%s", slash ? slash + 1 : source));
    CHECK(str_format(taken.message, sizeof(taken.message), "%s", message));
}

TEST(a_sink_gets_level_source_and_message_and_decides_what_it_wants)
{
    static const struct log_sink sink = {wants_no_debug, take};

    log_set_sink(&sink);
    log_info("tenant '%s'", "a\nb");
    CHECK_EQ(taken.level, LOG_LEVEL_INFO);
    CHECK_STR_EQ(taken.source, "test_log.c");
    CHECK_STR_EQ(taken.message, "tenant 'a\nb'");
    log_debug("not wanted");
    CHECK_STR_EQ(taken.message, "tenant 'a\nb'");
    log_set_sink(NULL);
}
