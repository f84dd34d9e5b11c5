#include "tests/harness.h"

#include "hypervisor/foreign_process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t start_child(void)
{
    pid_t child = fork();

    if (child == 0)
        for (;;)
            (void)pause();
    CHECK(child > 0);
    return child;
}

TEST(a_process_is_described)
{
    struct foreign_process self, child;
    pid_t pid = start_child();

    CHECK_EQ(foreign_process_describe(NULL, getpid(), &self), 0);
    CHECK_EQ(foreign_process_describe(NULL, pid, &child), 0);
    CHECK(strncmp(self.comm, "test_foreign_process", 15) == 0);
    CHECK_EQ(self.uid, geteuid());
    CHECK(self.cgroup[0] == '/' || self.cgroup[0] == '\0');
    CHECK(child.start_ticks >= self.start_ticks);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_EQ(foreign_process_describe(NULL, pid, &child), -ESRCH);
}

TEST(a_signal_reaches_the_process_with_that_start_time_and_no_other)
{
    struct foreign_process child;
    pid_t pid = start_child();
    int status;

    CHECK_EQ(foreign_process_describe(NULL, pid, &child), 0);
    CHECK_EQ(foreign_process_signal(NULL, pid, child.start_ticks + 1, SIGKILL), -ESRCH);
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    CHECK_EQ(foreign_process_signal(NULL, pid, child.start_ticks, SIGTERM), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK_EQ(foreign_process_signal(NULL, pid, child.start_ticks, SIGTERM), -ESRCH);
}
