/*
 * vgpu-sim - runs a command, and all that it starts, on a simulated machine of its own.
 */
#include "sim/faults.h"
#include "sim/machine.h"
#include "sim/reactor.h"
#include "sim/wire.h"
#include "utils/clock.h"
#include "utils/file.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE        2
#define EXIT_NOT_FOUND    127
#define EXIT_NOT_RUNNABLE 126
#define EXIT_SIGNAL       128
#define FAULTS_MAX        32
#define MEMORY_MIN        (UINT64_C(64) << 20)
#define MIB               (UINT64_C(1) << 20)
#define NICENESS          (-5)
#define REPLY_TIMEOUT_MS  2000
#define ENVIRONMENT_MAX   (64 * 1024)
#define REMOVE_FDS        16

static const struct model {
    const char *name, *full_name;
    uint64_t mib;
} models[] = {
    {"H100", "NVIDIA H100 80GB HBM3 (simulated)", 81559},
    {"H200", "NVIDIA H200 (simulated)", 143771},
    {"A100", "NVIDIA A100-SXM4-80GB (simulated)", 81920},
    {"L40S", "NVIDIA L40S (simulated)", 46068},
    {"T4", "Tesla T4 (simulated)", 15360},
};

struct arguments {
    uint32_t gpus;
    uint64_t memory_bytes; /* 0: the model's */
    const char *model;
    const char *faults[FAULTS_MAX];
    uint32_t fault_count;
    const char *set_fault; /* not NULL: that is all there is to do */
    char **command;
};

static void print_help(void)
{
    puts("usage: vgpu-sim [--gpus N] [--gpu-memory SIZE] [--model NAME] [--fault NAME[=VALUE]]...\n"
         "                -- COMMAND...\n"
         "       vgpu-sim --set-fault NAME[=VALUE]     (on a simulated machine, while it runs)\n"
         "\n"
         "Runs a command, and all it starts, on a simulated machine of its own.\n"
         "\n"
         "  --gpus N           number of GPUs, 1 to 16 (1)\n"
         "  --gpu-memory SIZE  of each, as 80GiB or 512MiB (the model's)\n"
         "  --model NAME       H100, H200, A100, L40S, T4, or any name (H100)\n"
         "  --fault NAME       something that is wrong with it; NAME=off undoes it:");
    for (const struct faults_help *help = faults_list(); help->name; help++)
        printf("      %-20s %s\n", help->name, help->words);
}

static int read_memory(struct arguments *arguments, const char *text, struct err *err)
{
    struct parse_size size;
    int rc = parse_size(&size, text, err);

    if (rc < 0)
        return rc;
    if (size.bytes < MEMORY_MIN)
        return err_say(err, EINVAL, "a GPU's memory is at least 64MiB, not '%s'", text);
    arguments->memory_bytes = size.bytes / MIB * MIB;
    return 0;
}

static int read_option(struct arguments *arguments, int option, struct err *err)
{
    uint64_t number;
    int rc;

    switch (option) {
    case 'g':
        rc = parse_u64(&number, optarg, 1, MACHINE_BOARDS_MAX, err);
        if (rc < 0)
            return err_wrap(err, "--gpus");
        arguments->gpus = (uint32_t)number;
        return 0;
    case 'm':
        if (read_memory(arguments, optarg, err) < 0)
            return err_wrap(err, "--gpu-memory");
        return 0;
    case 'n':
        arguments->model = optarg;
        return 0;
    case 'f':
        if (arguments->fault_count == FAULTS_MAX)
            return err_say(err, EINVAL, "too many faults");
        arguments->faults[arguments->fault_count++] = optarg;
        return 0;
    case 's':
        arguments->set_fault = optarg;
        return 0;
    case 'h':
        print_help();
        exit(0);
    default:
        return err_say(err, EINVAL, "see vgpu sim --help");
    }
}

static int read_arguments(struct arguments *arguments, int argc, char **argv, struct err *err)
{
    static const struct option options[] = {
        {"gpus", required_argument, NULL, 'g'},
        {"gpu-memory", required_argument, NULL, 'm'},
        {"model", required_argument, NULL, 'n'},
        {"fault", required_argument, NULL, 'f'},
        {"set-fault", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    *arguments = (struct arguments){.gpus = 1, .model = "H100"};
    while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
        int rc = read_option(arguments, option, err);

        if (rc < 0)
            return rc;
    }
    arguments->command = argv + optind;
    if (!arguments->set_fault && !arguments->command[0])
        return err_say(err, EINVAL, "no command to run; see vgpu sim --help");
    return 0;
}

/* --set-fault: asks the server of the machine we are on. */
static int send_fault(const char *text, struct err *err)
{
    const char *path = getenv(WIRE_SOCKET_VARIABLE);
    struct wire_request request = {.magic = WIRE_MAGIC, .kind = WIRE_FAULT};
    char message[sizeof(request) + 256];
    size_t length = strlen(text);
    struct wire_reply reply;
    CLEANUP_CLOSE int fd = -1;
    int rc;

    if (!path)
        return err_say(err, ENODEV, "not on a simulated machine (%s is not set)",
                       WIRE_SOCKET_VARIABLE);
    if (length > sizeof(message) - sizeof(request))
        return err_say(err, EINVAL, "no fault is called '%s'", text);
    request.sent_ns = clock_now_ns();
    request.args_bytes = (uint32_t)length;
    memcpy(message, &request, sizeof(request));
    memcpy(message + sizeof(request), text, length);
    rc = sock_connect(&fd, path, REPLY_TIMEOUT_MS, err);
    if (rc < 0)
        return rc;
    rc = sock_send(fd, message, sizeof(request) + length, NULL, 0);
    if (rc < 0 ||
        sock_receive(fd, &reply, sizeof(reply), NULL, REPLY_TIMEOUT_MS) != (ssize_t)sizeof(reply))
        return err_say(err, EIO, "the simulated machine does not answer");
    if (reply.error != 0)
        return err_say(err, EINVAL, "no fault like '%s'; see vgpu sim --help", text);
    return 0;
}

static int make_machine(struct machine *machine, const struct arguments *arguments, struct err *err)
{
    const struct model *model = NULL;
    struct machine_options options = {.gpus = arguments->gpus, .model = arguments->model};
    struct timespec wall;
    int rc;

    for (size_t i = 0; i < ARRAY_LENGTH(models); i++) {
        if (strcasecmp(arguments->model, models[i].name) == 0)
            model = &models[i];
    }
    if (model)
        options.model = model->full_name;
    options.memory_bytes = (model ? model->mib : models[0].mib) * MIB;
    if (arguments->memory_bytes != 0)
        options.memory_bytes = arguments->memory_bytes;
    (void)clock_gettime(CLOCK_REALTIME, &wall); /* cannot fail */
    options.now_ns = clock_now_ns();
    options.now_unix_ns = (uint64_t)wall.tv_sec * NS_PER_SEC + (uint64_t)wall.tv_nsec;
    if (machine_init(machine, &options) < 0)
        return err_set(err, ENOMEM, "make the simulated machine");
    for (uint32_t i = 0; i < arguments->fault_count; i++) {
        rc = machine_set_fault(machine, arguments->faults[i], err);
        if (rc < 0) {
            machine_fini(machine);
            return err_wrap(err, "--fault");
        }
    }
    return 0;
}

/* Where our libraries are: beside this program. */
static int find_libraries(char *directory, size_t size, struct err *err)
{
    ssize_t length = readlink("/proc/self/exe", directory, size - 1);
    char *slash;

    if (length < 0)
        return err_set(err, errno, "read '/proc/self/exe'");
    directory[length] = 0;
    slash = strrchr(directory, '/');
    if (slash)
        *slash = 0;
    return 0;
}

static void prepend(const char *name, const char *first)
{
    static char text[ENVIRONMENT_MAX];
    const char *rest = getenv(name);

    if (!rest || !*rest)
        (void)setenv(name, first, 1); /* fails only without memory, and then nothing works */
    else if (!str_starts_with(rest, first) && str_format(text, sizeof(text), "%s:%s", first, rest))
        (void)setenv(name, text, 1);
}

static void set_environment(const char *directory, const char *libraries)
{
    char path[PATH_MAX + 64];

    (void)str_format(path, sizeof(path), "%s/socket", directory);
    (void)setenv(WIRE_SOCKET_VARIABLE, path, 1);
    (void)str_format(path, sizeof(path), "%s/run", directory);
    (void)setenv("VGPU_RUNTIME_DIR", path, 1);
    (void)str_format(path, sizeof(path), "%s/libvgpu_sim.so", libraries);
    prepend("LD_PRELOAD", path);
    prepend("LD_LIBRARY_PATH", libraries);
}

static pid_t start_command(char **command, const sigset_t *signals)
{
    pid_t pid = fork();
    int code;

    if (pid != 0)
        return pid;
    (void)sigprocmask(SIG_SETMASK, signals, NULL); /* was valid before */
    execvp(command[0], command);
    code = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
    log_error("command '%s': %s", command[0], strerror(errno));
    _exit(code);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    /* What cannot be removed stays; there is nobody left to tell. */
    (void)remove(path);
    return 0;
}

/* After the command was started, so that it does not inherit them. */
static void prefer_ourselves(void)
{
    struct rlimit limit;

    /* All of these are wishes. */
    (void)setpriority(PRIO_PROCESS, 0, NICENESS);
    (void)prctl(PR_SET_TIMERSLACK, 1);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int run_on(struct machine *machine, const char *directory, char **command, struct err *err)
{
    char libraries[PATH_MAX], path[PATH_MAX + 64];
    struct reactor *reactor;
    sigset_t before;
    pid_t pid;
    int rc, status;

    rc = find_libraries(libraries, sizeof(libraries), err);
    if (rc < 0)
        return rc;
    (void)str_format(path, sizeof(path), "%s/run", directory);
    rc = file_make_own_dir(path, 0700, err);
    if (rc < 0)
        return rc;
    reactor_block_signals(&before);
    (void)str_format(path, sizeof(path), "%s/socket", directory);
    rc = reactor_new(&reactor, machine, path, err);
    if (rc < 0)
        return rc;
    set_environment(directory, libraries);
    pid = start_command(command, &before);
    if (pid < 0) {
        reactor_free(reactor);
        return err_set(err, errno, "start the command");
    }
    prefer_ourselves();
    status = reactor_run(reactor, pid);
    reactor_free(reactor);
    return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(const struct arguments *arguments, struct err *err)
{
    const char *base = getenv("TMPDIR");
    char directory[PATH_MAX];
    struct machine machine;
    int rc;

    rc = make_machine(&machine, arguments, err);
    if (rc < 0)
        return rc;
    if (!str_format(directory, sizeof(directory), "%s/vgpu-sim-XXXXXX",
                    base && *base ? base : "/tmp") ||
        !mkdtemp(directory)) {
        rc = err_set(err, errno, "make a directory in '%s'", base && *base ? base : "/tmp");
    } else {
        rc = run_on(&machine, directory, arguments->command, err);
        (void)nftw(directory, remove_entry, REMOVE_FDS, FTW_DEPTH | FTW_PHYS);
    }
    machine_fini(&machine);
    return rc;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct err err = {0};
    int rc;

    /* On a simulated machine inside another: we are not one of its programs. */
    if (read_arguments(&arguments, argc, argv, &err) < 0) {
        log_error("%s", err.text);
        return EXIT_USAGE;
    }
    rc = arguments.set_fault ? send_fault(arguments.set_fault, &err) : run(&arguments, &err);
    if (rc < 0) {
        log_error("%s", err.text);
        return rc == -EINVAL ? EXIT_USAGE : 1;
    }
    return rc;
}
