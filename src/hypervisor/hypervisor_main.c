/* vgpu-hypervisor, which is installed as `hypervisor` too: the daemon, and a few small commands. */
#include "hypervisor/daemon.h"
#include "hypervisor/node_service.h"
#include "hypervisor/shm_commands.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define STATUS_USAGE 2

/* `vgpu top`, of the vgpu beside us, else of the one on the path. */
static int show_top(void)
{
    char self[PATH_MAX], program[PATH_MAX], *const words[] = {program, (char[]){"top"}, NULL};
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

static int run_command(char *const *words, const char *name)
{
    if (str_equals(name, "daemon"))
        return daemon_main(words, node_service_run);
    if (str_equals(name, "tui"))
        return show_top();
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
