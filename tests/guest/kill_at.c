/*
 * kill_at - runs a command and kills it at a system call: at its entry or its exit, whichever is
 * the N-th of these instants. Exits with 0 where it was killed.
 *
 *     kill_at N COMMAND...
 *
 * With 0 it only counts: it prints how many such instants there are, and exits as the command does.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL_STOP (SIGTRAP | 0x80) /* with PTRACE_O_TRACESYSGOOD */

static pid_t start(char **command)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
            (void)execvp(command[0], command); /* stops with SIGTRAP when it has succeeded */
        _exit(127);
    }
    return pid;
}

int main(int argc, char **argv)
{
    long wanted = argc > 2 ? strtol(argv[1], NULL, 10) : -1, count = 0;
    int status = 0, deliver = 0;
    pid_t pid;

    if (wanted < 0)
        return 2;
    pid = start(argv + 2);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        return 2;
    if (ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
        return 2;
    while (ptrace(PTRACE_SYSCALL, pid, NULL, deliver) == 0 && waitpid(pid, &status, 0) == pid &&
           WIFSTOPPED(status)) {
        deliver = WSTOPSIG(status) == CALL_STOP ? 0 : WSTOPSIG(status);
        count += WSTOPSIG(status) == CALL_STOP;
        if (wanted && count == wanted) {
            (void)kill(pid, SIGKILL);
            return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) ? 0 : 2;
        }
    }
    if (wanted)
        return 3;
    printf("%ld\n", count);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
