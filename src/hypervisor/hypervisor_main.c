/* vgpu-hypervisor, which is installed as `hypervisor` too: the daemon, and a few small commands. */
#include "hypervisor/daemon.h"
#include "hypervisor/node_service.h"
#include "hypervisor/shm_commands.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STATUS_USAGE  2
#define REFRESH_MAX_S 3600 /* as vgpu top takes it */

static const struct command {
    const char *name, *arguments, *help;
} commands[] = {
    {"tui", "[--refresh-interval SECONDS]",
     "Shows GPUs and tenants: 'vgpu top', with --refresh-interval as its --interval (default 1).\n"
     "--glob and --log-path of the former tui are accepted without effect."},
    {"mount-shm", "[--mount-point DIR] [--size-mb N]",
     "Mounts a tmpfs for readers of the former shared memory (default " SHM_COMMANDS_BASE
     ", 128)\nwhere there is none yet."},
    {"show-shm", "--namespace NAME --pod-name NAME [--shm-base-path DIR]",
     "Shows what readers of the former shared memory find of a pod."},
};

static int print_help(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        if (str_equals(commands[i].name, name))
            printf("usage: vgpu-hypervisor %s %s\n\n%s\n", name, commands[i].arguments,
                   commands[i].help);
    return 0;
}

static bool asks_for_help(char *const *words)
{
    for (; *words; words++)
        if (str_equals(*words, "--help") || str_equals(*words, "-h"))
            return true;
    return false;
}

/* --- tui --- */

/* `vgpu top`, of the vgpu beside us, else of the one on the path. */
static int show_top(char *interval)
{
    char self[PATH_MAX], program[PATH_MAX];
    char *const words[] = {program, (char[]){"top"}, (char[]){"--interval"}, interval, NULL};
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    self[length < 0 ? 0 : length] = '\0';
    slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    if (!slash || !str_format(program, sizeof(program), "%s/vgpu", self) ||
        access(program, X_OK) < 0)
        (void)str_format(program, sizeof(program), "vgpu"); /* fits */
    (void)execvp(program, words);                           /* comes back where it fails */
    log_error("tui: cannot start '%s top': %s", program, strerror(errno));
    return 127;
}

/* The value of the flag at words[0], NULL: it has none; *ret_taken: in how many words both are. */
static char *flag_value(char *const *words, int *ret_taken)
{
    char *equals = strchr(words[0], '=');

    *ret_taken = equals || !words[1] ? 1 : 2;
    return equals ? equals + 1 : words[1];
}

static bool is_flag(const char *word, const char *flag)
{
    size_t length = strlen(flag);

    return str_starts_with(word, flag) && (!word[length] || word[length] == '=');
}

/* One of the former tui's options at words[0], which manifests have; the words it took, or -1. */
static int take_flag(char *const *words, char **interval)
{
    bool is_idle = is_flag(*words, "--glob") || is_flag(*words, "--log-path");
    struct err err;
    uint64_t seconds;
    int taken;
    char *value = flag_value(words, &taken);

    if (!is_idle && !is_flag(*words, "--refresh-interval")) {
        log_error("tui: '%s' is not understood (vgpu-hypervisor tui --help)", *words);
        return -1;
    }
    if (!value) {
        log_error("tui: '%s' needs a value", *words);
        return -1;
    }
    if (is_idle) {
        log_warn("tui: '%.*s' has no effect: 'vgpu top' asks the tenants and keeps no log",
                 (int)strcspn(*words, "="), *words);
        return taken;
    }
    if (parse_u64(&seconds, value, 1, REFRESH_MAX_S, &err) < 0) {
        log_error("tui: --refresh-interval: %s", err.text);
        return -1;
    }
    *interval = value;
    return taken;
}

static int run_tui(char *const *words)
{
    char standard[] = "1", *interval = standard;

    while (*words) {
        int taken = take_flag(words, &interval);

        if (taken < 0)
            return STATUS_USAGE;
        words += taken;
    }
    return show_top(interval);
}

static int run_command(char *const *words, const char *name)
{
    if (str_equals(name, "daemon"))
        return daemon_main(words, node_service_run);
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        if (str_equals(name, commands[i].name) && asks_for_help(words))
            return print_help(name);
    if (str_equals(name, "tui"))
        return run_tui(words);
    if (str_equals(name, "mount-shm"))
        return shm_commands_mount(words);
    if (str_equals(name, "show-shm"))
        return shm_commands_show(words);
    log_error("there is no command '%s' (--help)", name);
    return STATUS_USAGE;
}

/* Where we were started without stdin, stdout or stderr, nothing of ours may get that number. */
static void occupy_standard_numbers(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDWR | O_CLOEXEC); /* the lowest free number is this one */
}

int main(int argc, char **argv)
{
    occupy_standard_numbers();
    if (argc < 2 || argv[1][0] == '-')
        return run_command(argv + (argc > 0), "daemon");
    return run_command(argv + 2, argv[1]);
}
