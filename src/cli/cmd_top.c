#include "cli/client.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/screen_cells.h"
#include "cli/screen_layout.h"
#include "cli/screen_paint.h"
#include "cli/top_gather.h"
#include "cli/top_model.h"
#include "cli/top_view.h"
#include "supervisor/runtime.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MIN_NS (NS_PER_SEC / 10)
#define INTERVAL_MAX_NS (3600 * NS_PER_SEC)
#define PLAIN_WIDTH     120 /* of a frame that goes into a pipe */
#define PLAIN_WAIT_MS   5000
#define ROW_BYTES_MAX   (SCREEN_SIDE_MAX * 4 + 1)

struct top {
    struct top_model model;
    struct top_view view;
    struct top_gather *gather;
    uint64_t interval_ns, next_ns;
    bool is_ascii;
    int width, height;
    int signal_fd;
    int end_signal; /* 0: none has come */
    bool is_ending;
};

/* --- drawing --- */

static int draw(struct top *top, struct screen_cells *ret_cells, bool is_plain, struct err *err)
{
    char words[16] = "";
    time_t now = time(NULL);
    struct tm local;
    struct screen_options options = {
        .is_plain = is_plain, .time = words, .interval_ns = top->interval_ns};
    int rc = screen_cells_init(ret_cells, top->width, top->height, top->is_ascii, err);

    if (rc < 0)
        return rc;
    if (localtime_r(&now, &local))
        (void)strftime(words, sizeof(words), "%H:%M:%S", &local); /* fits */
    top->view.page = (size_t)screen_layout_page(&top->model, top->height);
    screen_layout_draw(ret_cells, &top->model, &top->view, &options);
    return 0;
}

static int show(struct top *top, struct err *err)
{
    struct screen_cells cells;
    int rc = draw(top, &cells, false, err);

    if (rc < 0)
        return rc;
    screen_paint_show(&cells);
    screen_cells_fini(&cells);
    return 0;
}

/* --- one frame --- */

static int wait_for_round(struct top *top, struct err *err)
{
    uint64_t end_ns = clock_now_ns() + PLAIN_WAIT_MS * NS_PER_MS, now_ns;
    int rc = 0;

    while (!rc && (now_ns = clock_now_ns()) < end_ns) {
        struct pollfd poll_fd = {.fd = top_gather_fd(top->gather), .events = POLLIN};

        if (poll(&poll_fd, 1, (int)((end_ns - now_ns) / NS_PER_MS) + 1) < 0 && errno != EINTR)
            return err_set(err, errno, "wait for the tenants");
        rc = top_gather_take(top->gather, &top->model, err);
    }
    return rc ? rc : err_say(err, ETIMEDOUT, "the tenants do not answer");
}

static int print_frame(struct top *top, struct err *err)
{
    struct screen_cells cells;
    struct winsize size = {0};
    char *row = malloc(ROW_BYTES_MAX);
    int rc = row ? wait_for_round(top, err) : err_set(err, ENOMEM, "print a frame");

    top_view_arrange(&top->view, &top->model);
    top->width =
        isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col
            ? size.ws_col
            : PLAIN_WIDTH;
    top->height = screen_layout_plain_height(&top->model, &top->view);
    if (rc > 0)
        rc = draw(top, &cells, true, err);
    if (rc < 0) {
        free(row);
        return rc;
    }
    for (int i = 0; i < cells.height; i++) {
        screen_cells_row(&cells, i, row, ROW_BYTES_MAX);
        printf("%s\n", row);
    }
    screen_cells_fini(&cells);
    free(row);
    return fflush(stdout) == 0 ? 0 : err_set(err, errno, "print a frame");
}

/* --- signals --- */

/* They come through a descriptor, one at a time: the terminal is never half given back. */
static int catch_signals(struct top *top, struct err *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        sigaddset(&set, signals[i]);
    top->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (top->signal_fd < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_set(err, errno, "catch signals");
    return 0;
}

/*
 * As if it had not been caught: where nobody could continue us (an orphaned process group) the
 * kernel does not stop us either.
 */
static void stop(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    (void)signal(SIGTSTP, SIG_DFL); /* ncurses has its own there */
    (void)raise(SIGTSTP);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static void take_signal(struct top *top, int number)
{
    switch (number) {
    case SIGTSTP:
        screen_paint_leave();
        stop();
        screen_paint_return();
        screen_paint_measure(&top->width, &top->height);
        break;
    case SIGCONT:
        screen_paint_return();
        screen_paint_measure(&top->width, &top->height);
        break;
    case SIGWINCH:
        screen_paint_measure(&top->width, &top->height);
        break;
    default:
        top->end_signal = number;
        top->is_ending = true;
        break;
    }
}

static void take_signals(struct top *top)
{
    struct signalfd_siginfo info;

    while (!top->is_ending && read(top->signal_fd, &info, sizeof(info)) == sizeof(info))
        take_signal(top, (int)info.ssi_signo);
}

/* As if it had not been caught: whoever started us sees what ended us. */
static void die_of(int number)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    (void)signal(number, SIG_DFL); /* ncurses has its own there */
    (void)raise(number);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* --- keys and answers --- */

static void act(struct top *top, const struct top_action *action)
{
    if (action->kind == TOP_QUIT)
        top->is_ending = true;
    else if (action->kind == TOP_REPAINT)
        screen_paint_forget();
    else if (action->kind == TOP_SEND &&
             top_gather_send(top->gather, action->tenant, &action->set) < 0)
        top_view_say(&top->view, true, "the change before has no answer yet");
    else if (action->kind == TOP_SEND)
        top_view_say(&top->view, false, "changing '%s' ...", action->tenant);
}

static void take_keys(struct top *top)
{
    uint32_t key;

    while (!top->is_ending && screen_paint_key(&key)) {
        struct top_action action = top_view_press(&top->view, &top->model, key);

        act(top, &action);
    }
}

static void take_answers(struct top *top)
{
    struct err err;
    int rc = top_gather_take(top->gather, &top->model, &err);

    if (rc < 0)
        top_view_say(&top->view, true, "%s", err.text);
    if (rc)
        top_view_arrange(&top->view, &top->model);
    if (!top_gather_answer(top->gather, &rc, &err))
        return;
    if (rc < 0)
        top_view_say(&top->view, true, "%s", err.text);
    else
        top_view_say(&top->view, false, "changed");
    top_gather_refresh(top->gather);
}

static int run_once(struct top *top, struct err *err)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = top->signal_fd, .events = POLLIN},
                           {.fd = top_gather_fd(top->gather), .events = POLLIN}};
    uint64_t now_ns = clock_now_ns();

    if (now_ns >= top->next_ns) {
        top_gather_refresh(top->gather);
        top->next_ns = now_ns + top->interval_ns;
    }
    if (poll(fds, ARRAY_LENGTH(fds), (int)((top->next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS)) <
            0 &&
        errno != EINTR)
        return err_set(err, errno, "wait for keys");
    if (fds[1].revents)
        take_signals(top);
    if (fds[0].revents & POLLIN && !top->is_ending)
        take_keys(top);
    /* The terminal has gone; a key that came and was no key to ncurses is no such thing. */
    if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
        top->is_ending = true;
    if (fds[2].revents)
        take_answers(top);
    /* Nothing to show for a time that has merely gone by. */
    if (top->is_ending || !(fds[0].revents || fds[1].revents || fds[2].revents))
        return 0;
    return show(top, err);
}

static int run_screen(struct top *top, struct err *err)
{
    const char *no_colour = getenv("NO_COLOR"); /* everybody's: no-color.org */
    int rc = screen_paint_open(!no_colour || !*no_colour, err);

    if (rc < 0)
        return rc;
    screen_paint_measure(&top->width, &top->height);
    rc = show(top, err);
    while (!rc && !top->is_ending)
        rc = run_once(top, err);
    screen_paint_close();
    return rc;
}

/* --- start --- */

static int read_options(struct top *top, const struct command_line *line)
{
    const char *interval = command_value(line, "interval"), *sort = command_value(line, "sort");
    const char *filter = command_value(line, "filter");
    struct err err;

    if (line->operand_count)
        return command_usage_error(line, "'%s' is one word too many", line->operands[0]);
    top_view_init(&top->view);
    top->interval_ns = NS_PER_SEC;
    if (interval && parse_seconds(&top->interval_ns, interval, &err) < 0)
        return command_usage_error(line, "--interval: %s", err.text);
    if (top->interval_ns < INTERVAL_MIN_NS || top->interval_ns > INTERVAL_MAX_NS)
        return command_usage_error(line, "--interval: '%s' is not from 0.1 to 3600", interval);
    if (sort && top_view_read_sort(&top->view.sort, sort, &err) < 0)
        return command_usage_error(line, "--sort: %s", err.text);
    if (filter && !str_format(top->view.filter, sizeof(top->view.filter), "%s", filter))
        return command_usage_error(line, "--filter: longer than %d characters", TOP_INPUT_MAX - 1);
    return COMMAND_OK;
}

static int run(struct top *top, bool is_once, struct err *err)
{
    struct runtime runtime;
    char host[64] = "-";
    int rc = client_open_runtime(&runtime, err);

    if (rc < 0)
        return rc;
    runtime_sweep(&runtime);
    if (gethostname(host, sizeof(host)) < 0)
        (void)str_format(host, sizeof(host), "-"); /* fits */
    host[sizeof(host) - 1] = '\0';
    top_model_init(&top->model, host);
    /* Before the threads, which are to leave the signals to us. */
    rc = is_once ? 0 : catch_signals(top, err);
    if (!rc)
        rc = top_gather_new(&top->gather, &runtime, err);
    if (!rc && is_once)
        top_gather_refresh(top->gather);
    if (!rc)
        rc = is_once ? print_frame(top, err) : run_screen(top, err);
    top_gather_free(top->gather);
    top_model_fini(&top->model);
    attr_close(&top->signal_fd);
    return rc;
}

int cmd_top(const struct command_line *line)
{
    CLEANUP_FREE struct top *top = calloc(1, sizeof(*top));
    struct err err;
    int status;

    if (!top) {
        log_error("top: out of memory");
        return COMMAND_FAILED;
    }
    top->signal_fd = -1;
    status = read_options(top, line);
    if (status)
        return status;
    (void)setlocale(LC_CTYPE, ""); /* what is unknown here is C, which is ASCII */
    top->is_ascii = !str_equals(nl_langinfo(CODESET), "UTF-8");
    if (run(top, command_has(line, "once") || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO),
            &err) < 0) {
        log_error("top: %s", err.text);
        return COMMAND_FAILED;
    }
    if (top->end_signal)
        die_of(top->end_signal);
    return COMMAND_OK;
}
