#include "cli/command.h"

#include <fcntl.h>
#include <unistd.h>

/*
 * Where we were started without stdin, stdout or stderr, no socket of ours may get that number.
 * What we start finds them closed, as they were.
 */
static void occupy_standard_numbers(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDWR | O_CLOEXEC); /* the lowest free number is this one */
}

int main(int argc, char **argv)
{
    occupy_standard_numbers();
    return command_main(argc, argv);
}
