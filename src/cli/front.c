#include "cli/front.h"

#include "cli/command.h"
#include "cli/launch.h"
#include "supervisor/server.h"
#include "supervisor/supervise.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_MS      10000
#define LEAVE_NS      (300 * NS_PER_MS)
#define RESTARTS_MOST 5
#define RESTART_NS    NS_PER_SEC /* a supervisor that lived shorter counts as failing */
#define RETRY_NS      NS_PER_SEC /* after one that could not be started */
#define STOP_KEY_NS   (2 * NS_PER_SEC)

struct run {
    struct front *front;
    pid_t command, supervisor;
    int supervisor_fd; /* our end of its socket */
    int words_fd;      /* what it writes to stderr */
    int signal_fd;
    int gate_fd;    /* lets the command start; -1: it was let */
    int failure_fd; /* says why the command could not be executed, or just ends; -1: it ended */
    sigset_t early; /* signals that came before there was a command to have them */
    uint64_t supervisor_ns; /* when it was started */
    uint64_t retry_ns;      /* when to start one again; 0: never */
    int failures;
    bool is_stopped;      /* the command, by SIGSTOP */
    uint64_t stop_key_ns; /* when the terminal's Ctrl-Z came; 0: never, or it is done */
    bool has_ended;       /* the command */
    int status;
};

/* --- the supervisor --- */

static _Noreturn void be_supervisor(const struct run *run, int front_fd, int words_fd,
                                    bool is_successor)
{
    const struct front *front = run->front;
    const struct supervise config = {
        .runtime = &front->runtime,
        .name = front->name,
        .log_path = front->log_path,
        .is_verbose = front->is_verbose,
        .listen_fd = front->listen_fd,
        .ledger_fd = front->ledger_fd,
        .front_fd = front_fd,
        .words_fd = words_fd,
        .is_successor = is_successor,
    };
    int ours[] = {run->supervisor_fd, run->words_fd, run->signal_fd, run->failure_fd};

    for (size_t i = 0; i < ARRAY_LENGTH(ours); i++)
        attr_close(&ours[i]); /* else it would keep the front's end open, and not see it die */
    (void)sigprocmask(SIG_SETMASK, &front->old_mask, NULL);
    _exit(supervise(&config));
}

static int start_supervisor(struct run *run, bool is_successor, struct err *err)
{
    CLEANUP_CLOSE int theirs = -1, words_write = -1;
    int sockets[2], words[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return err_set(err, errno, "make a socket for the supervisor");
    attr_close(&run->supervisor_fd);
    run->supervisor_fd = sockets[0];
    theirs = sockets[1];
    if (pipe2(words, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_set(err, errno, "make a pipe for the supervisor");
    attr_close(&run->words_fd);
    run->words_fd = words[0];
    words_write = words[1];
    run->supervisor_ns = clock_now_ns();
    run->supervisor = fork();
    if (run->supervisor < 0)
        return err_set(err, errno, "start the supervisor");
    if (!run->supervisor)
        be_supervisor(run, theirs, words_write, is_successor);
    return 0;
}

/* Passes on what the supervisor says on its stderr: whole lines, with our prefix already. */
static void pass_words(const struct run *run)
{
    char text[4096];
    ssize_t length;

    while (run->words_fd >= 0 && (length = read(run->words_fd, text, sizeof(text))) > 0)
        if (write(STDERR_FILENO, text, (size_t)length) < 0)
            return; /* nobody to tell */
}

static int wait_ready(struct run *run, struct err *err)
{
    struct server_message message;
    ssize_t length = sock_receive(run->supervisor_fd, &message, sizeof(message), NULL, READY_MS);

    pass_words(run);
    if (length != sizeof(message))
        return err_say(err, EIO, "the supervisor %s",
                       length == -EAGAIN ? "does not begin" : "ended before it began");
    message.text[sizeof(message.text) - 1] = '\0';
    return message.word == SERVER_READY ? 0 : err_say(err, EIO, "%s", message.text);
}

static void tell_command(const struct run *run)
{
    struct server_message message = {.word = SERVER_COMMAND, .pid = run->command};

    if (sock_send(run->supervisor_fd, &message, sizeof(message), NULL, 0) < 0)
        log_debug("the supervisor is gone already"); /* its successor reads the state */
}

/* --- the command --- */

struct start_failure {
    int32_t status;
    char text[240];
};

/*
 * The command's environment becomes ours, while the supervisor begins: behind the fork each page
 * that is written costs more than the words.
 */
static int prepare_environment(const struct front *front, struct err *err)
{
    char control[RUNTIME_PATH_MAX];
    int rc;

    if (front->control_path)
        return launch_set_environment(front->control_path, front->is_closed, front->visible, err);
    rc = runtime_path(&front->runtime, front->name, "control", control, err);
    return rc ? rc : launch_set_environment(control, front->is_closed, front->visible, err);
}

/* The command's process: forked while the supervisor begins, it executes once that serves. */
static _Noreturn void execute_command(const struct run *run, char **argv, int gate_fd,
                                      int failure_fd)
{
    const struct front *front = run->front;
    struct start_failure failure;
    struct err err = {0};
    char go;

    (void)close(run->gate_fd); /* the other end: its closing tells that there is nothing to run */
    if (read(gate_fd, &go, 1) != 1)
        _exit(COMMAND_FAILED);
    (void)sigaction(SIGCHLD, &front->old_child, NULL);
    (void)sigprocmask(SIG_SETMASK, &front->old_mask, NULL);
    failure.status = launch_execute(argv, &err);
    (void)str_format(failure.text, sizeof(failure.text), "%s", err.text); /* cut at worst */
    if (write(failure_fd, &failure, sizeof(failure)) < 0)
        _exit(COMMAND_FAILED);
    _exit(failure.status);
}

/* What comes is why the command failed, and its exit status follows; if nothing, it executed. */
static void read_failure(struct run *run)
{
    struct start_failure failure;
    ssize_t length = run->failure_fd < 0 ? -1 : read(run->failure_fd, &failure, sizeof(failure));

    if (length < 0)
        return;
    attr_close(&run->failure_fd);
    if (length != sizeof(failure))
        return;
    failure.text[sizeof(failure.text) - 1] = '\0';
    log_error("run: %s", failure.text);
}

/* --- waiting --- */

/* What is missing for it (processes, descriptors) may be there again later. */
static void follow_supervisor(struct run *run)
{
    struct err err;

    if (start_supervisor(run, true, &err) == 0) {
        run->retry_ns = 0;
        log_info("the supervisor of '%s' was lost; %d follows it", run->front->name,
                 (int)run->supervisor);
        return;
    }
    if (!run->retry_ns)
        log_error("%s; the supervisor of '%s' is tried again each second", err.text,
                  run->front->name);
    run->retry_ns = clock_now_ns() + RETRY_NS;
}

static void on_supervisor_end(struct run *run, int status)
{
    /* Killed from outside is not its own failure: another may live longer. */
    bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    bool is_short = clock_now_ns() - run->supervisor_ns < RESTART_NS;

    pass_words(run);
    run->supervisor = -1;
    /* By itself it ends when the tenant has: it may have seen the command's end before we did. */
    if (run->has_ended || (WIFEXITED(status) && WEXITSTATUS(status) == COMMAND_OK))
        return;
    run->failures = is_short && !is_killed ? run->failures + 1 : 0;
    if (run->failures >= RESTARTS_MOST) {
        log_error("the supervisor of '%s' keeps ending; it is not started again", run->front->name);
        return;
    }
    follow_supervisor(run);
}

/*
 * Stopped from the terminal: stop as well, so that the shell notices, and go on together. Programs
 * that catch Ctrl-Z stop themselves with SIGSTOP; who else sends that to the command alone
 * continues it alone as well, and would leave us behind.
 */
static void stop_together(struct run *run)
{
    run->is_stopped = false;
    run->stop_key_ns = 0;
    (void)raise(SIGSTOP);
    (void)kill(run->command, SIGCONT);
}

static void on_command_stop(struct run *run, int number)
{
    run->is_stopped = number == SIGSTOP;
    if (number != SIGSTOP || (run->stop_key_ns && clock_now_ns() - run->stop_key_ns < STOP_KEY_NS))
        stop_together(run);
}

static void on_command_change(struct run *run, int status)
{
    if (WIFSTOPPED(status)) {
        on_command_stop(run, WSTOPSIG(status));
    } else if (WIFCONTINUED(status)) {
        run->is_stopped = false;
    } else {
        run->has_ended = true;
        run->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

static void reap(struct run *run)
{
    int status, supervisor_status = -1;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
        if (pid == run->command)
            on_command_change(run, status);
        else if (pid == run->supervisor && WIFSTOPPED(status))
            /* It promises instants that it cannot keep now: its successor can. */
            (void)kill(run->supervisor, SIGKILL);
        else if (pid == run->supervisor && !WIFCONTINUED(status))
            supervisor_status = status;
    }
    if (supervisor_status >= 0) /* now that it is known whether it ended with the command */
        on_supervisor_end(run, supervisor_status);
}

static void pass_signal(struct run *run, const struct signalfd_siginfo *info)
{
    if (run->has_ended || info->ssi_pid == (uint32_t)getpid())
        return; /* its number may be another's; and SIGPIPE of our own words is ours alone */
    if (info->ssi_code <= 0) { /* SI_USER, SI_QUEUE, SI_TKILL: a process sent it to us alone */
        (void)kill(run->command, (int)info->ssi_signo);
        return;
    }
    if (info->ssi_signo != SIGTSTP)
        return; /* the terminal has told the command as well */
    run->stop_key_ns = clock_now_ns();
    if (run->is_stopped)
        stop_together(run);
}

static void on_signal(struct run *run)
{
    struct signalfd_siginfo info;

    if (read(run->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGCHLD)
        reap(run);
    else
        pass_signal(run, &info);
}

static void on_front_message(struct run *run)
{
    struct server_message message;
    ssize_t length = sock_receive(run->supervisor_fd, &message, sizeof(message), NULL, 0);

    if (length == -EAGAIN)
        return;
    if (length != sizeof(message)) {
        attr_close(&run->supervisor_fd); /* SIGCHLD tells the rest */
        return;
    }
    message.text[sizeof(message.text) - 1] = '\0';
    if (message.word == SERVER_WARNING || message.word == SERVER_FAILED)
        log_warn("%s", message.text);
}

static void wait_events(struct run *run, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = run->signal_fd, .events = POLLIN},
                           {.fd = run->supervisor_fd, .events = POLLIN},
                           {.fd = run->words_fd, .events = POLLIN},
                           {.fd = run->failure_fd, .events = POLLIN}};

    if (poll(fds, ARRAY_LENGTH(fds), timeout_ms) <= 0)
        return;
    if (fds[2].revents & POLLIN)
        pass_words(run);
    else if (fds[2].revents)
        attr_close(&run->words_fd);
    if (fds[3].revents)
        read_failure(run);
    if (fds[1].revents)
        on_front_message(run);
    if (fds[0].revents)
        on_signal(run);
}

/* --- begin and end --- */

static void keep_early(struct run *run)
{
    struct signalfd_siginfo info;

    (void)sigemptyset(&run->early);
    while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info))
        if (info.ssi_signo == SIGCHLD)
            reap(run);
        else if (info.ssi_pid != (uint32_t)getpid())
            (void)sigaddset(&run->early, (int)info.ssi_signo);
}

static void pass_early(const struct run *run)
{
    for (int number = 1; number < NSIG; number++)
        if (sigismember(&run->early, number) > 0)
            (void)kill(run->command, number); /* it has them blocked until it executes */
}

static int fork_command(struct run *run, char **argv, struct err *err)
{
    CLEANUP_CLOSE int write_fd = -1, gate_fd = -1;
    int ends[2], gate[2];

    if (pipe2(gate, O_CLOEXEC) < 0)
        return err_set(err, errno, "make a gate for the command");
    gate_fd = gate[0];
    run->gate_fd = gate[1];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_set(err, errno, "make a pipe for the command");
    run->failure_fd = ends[0];
    write_fd = ends[1];
    run->command = fork();
    if (run->command < 0)
        return err_set(err, errno, "start the command");
    if (!run->command)
        execute_command(run, argv, gate_fd, write_fd);
    return 0;
}

static int start_command(struct run *run, char **argv, struct err *err)
{
    keep_early(run);
    tell_command(run);
    if (write(run->gate_fd, "", 1) != 1)
        return err_set(err, errno, "let the command start");
    attr_close(&run->gate_fd);
    log_info("'%s' runs as process %d of tenant '%s', with supervisor %d", argv[0],
             (int)run->command, run->front->name, (int)run->supervisor);
    pass_early(run);
    return 0;
}

/* Of a kept one the end of its socket tells. */
static bool has_supervisor(const struct run *run)
{
    return run->supervisor > 0 || (run->front->kept_fd >= 0 && run->supervisor_fd >= 0);
}

/*
 * Usually the tenant is gone at once; where it stays (daemons of its), its supervisor stays alone.
 */
static void wait_for_supervisor(struct run *run)
{
    uint64_t end_ns = clock_now_ns() + LEAVE_NS, now_ns;

    while (has_supervisor(run) && (now_ns = clock_now_ns()) < end_ns) {
        reap(run);
        if (has_supervisor(run))
            wait_events(run, (int)((end_ns - now_ns) / NS_PER_MS) + 1);
    }
}

/* Until something happens, or it is time to start a supervisor again. */
static void wait_on(struct run *run)
{
    uint64_t now_ns = clock_now_ns();

    if (run->retry_ns && now_ns >= run->retry_ns)
        follow_supervisor(run);
    wait_events(run, run->retry_ns ? (int)(RETRY_NS / NS_PER_MS) : -1);
}

void front_block_signals(struct front *front)
{
    (void)sigfillset(&front->mask); /* those that cannot be blocked are left out by the kernel */
    (void)sigdelset(&front->mask, SIGTTIN);
    (void)sigdelset(&front->mask, SIGTTOU);
    (void)sigprocmask(SIG_BLOCK, &front->mask, &front->old_mask); /* cannot fail for these */
    /* Where it is ignored no end of a child is seen. The command has it as it was. */
    (void)sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &front->old_child);
}

static int watch_signals(struct run *run, struct err *err)
{
    run->signal_fd = signalfd(-1, &run->front->mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signal_fd < 0 ? err_set(err, errno, "watch signals") : 0;
}

/* The name is given back where nothing was started under it. */
static int fail(struct run *run, const char *words)
{
    log_error("run: %s", words);
    if (run->supervisor > 0) {
        (void)kill(run->supervisor, SIGKILL);
        (void)waitpid(run->supervisor, NULL, 0);
    }
    attr_close(&run->gate_fd);
    if (run->command > 0)
        (void)waitpid(run->command, NULL, 0); /* it ends without having executed */
    if (run->front->kept_fd < 0)
        runtime_remove(&run->front->runtime, run->front->name);
    return COMMAND_FAILED;
}

static void run_init(struct run *run, struct front *front)
{
    *run = (struct run){.front = front,
                        .command = -1,
                        .supervisor = -1,
                        .supervisor_fd = -1,
                        .words_fd = -1,
                        .signal_fd = -1,
                        .gate_fd = -1,
                        .failure_fd = -1};
}

/* The supervisor of a kept tenant is there already. */
static int meet_supervisor(struct run *run, struct err *err)
{
    if (run->front->kept_fd < 0)
        return start_supervisor(run, false, err);
    run->supervisor_fd = run->front->kept_fd;
    return 0;
}

int front_run(struct front *front, char **argv)
{
    struct err err = {0};
    struct run run;

    run_init(&run, front);
    if (watch_signals(&run, &err) < 0 || meet_supervisor(&run, &err) < 0 ||
        prepare_environment(front, &err) < 0 || fork_command(&run, argv, &err) < 0 ||
        wait_ready(&run, &err) < 0 || start_command(&run, argv, &err) < 0)
        return fail(&run, err.text);
    if (front->kept_fd < 0)
        runtime_sweep(&front->runtime); /* now that nobody waits for us */
    while (!run.has_ended)
        wait_on(&run);
    read_failure(&run);
    wait_for_supervisor(&run);
    pass_words(&run);
    return run.status;
}

int front_adopt(struct front *front)
{
    struct err err = {0};
    struct run run;

    (void)sigprocmask(SIG_BLOCK, NULL, &front->old_mask); /* as it is; cannot fail */
    run_init(&run, front);
    if (start_supervisor(&run, true, &err) < 0 || wait_ready(&run, &err) < 0) {
        log_error("run: %s", err.text);
        return COMMAND_FAILED;
    }
    log_info("tenant '%s' has supervisor %d", front->name, (int)run.supervisor);
    return COMMAND_OK;
}
