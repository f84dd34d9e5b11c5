#include "hypervisor/notify.h"

#include "tests/harness.h"
#include "utils/str.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Stands for the manager; `name` as in NOTIFY_SOCKET. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));

    CHECK(fd >= 0);
    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, length + (name[0] != '@')), 0);
    CHECK_EQ(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static const char *heard(int fd)
{
    static char text[1024];
    ssize_t length = recv(fd, text, sizeof(text) - 1, 0);

    text[length < 0 ? 0 : length] = '\0';
    return text;
}

static void check_all(int fd)
{
    struct err err = {0};

    CHECK_OK(notify_open(&err), &err);
    CHECK_EQ(notify_ready("2 GPUs, 3 tenants", &err), 1);
    CHECK_STR_EQ(heard(fd), "READY=1\nSTATUS=2 GPUs, 3 tenants\n");
    CHECK_EQ(notify_ready(NULL, &err), 1);
    CHECK_STR_EQ(heard(fd), "READY=1\n");
    CHECK_EQ(notify_reloading(UINT64_C(12345678901), &err), 1);
    CHECK_STR_EQ(heard(fd), "RELOADING=1\nMONOTONIC_USEC=12345678\n");
    CHECK_EQ(notify_watchdog(&err), 1);
    CHECK_STR_EQ(heard(fd), "WATCHDOG=1\n");
    CHECK_EQ(notify_status("a\nREADY=1", &err), 1);
    CHECK_STR_EQ(heard(fd), "STATUS=a\n");
    CHECK_EQ(notify_stopping(&err), 1);
    CHECK_STR_EQ(heard(fd), "STOPPING=1\n");
    CHECK(getenv("NOTIFY_SOCKET") == NULL);
    notify_close();
    CHECK_EQ(close(fd), 0);
}

TEST(a_manager_at_a_path_is_told)
{
    char folder[] = "/tmp/vgpu-notify-XXXXXX", path[64];

    CHECK(mkdtemp(folder) != NULL);
    CHECK(str_format(path, sizeof(path), "%s/socket", folder));
    check_all(listen_at(path));
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(folder), 0);
}

TEST(a_manager_at_an_abstract_name_is_told)
{
    char name[64];

    CHECK(str_format(name, sizeof(name), "@vgpu-notify-%d", (int)getpid()));
    check_all(listen_at(name));
}

TEST(without_a_manager_nobody_is_told)
{
    struct err err = {0};

    CHECK_EQ(unsetenv("NOTIFY_SOCKET"), 0);
    CHECK_OK(notify_open(&err), &err);
    CHECK_EQ(notify_ready(NULL, &err), 0);
    CHECK_EQ(notify_watchdog_ns(), 0);
}

TEST(a_manager_that_is_gone_is_an_error_and_no_wait)
{
    struct err err = {0};

    CHECK_EQ(setenv("NOTIFY_SOCKET", "/nowhere/socket", 1), 0);
    CHECK_OK(notify_open(&err), &err);
    CHECK_EQ(notify_ready(NULL, &err), -ENOENT);
    notify_close();
}

TEST(a_name_that_is_none_is_refused)
{
    char name[200];
    static const char *const bad[] = {"relative", "/", "@"};
    struct err err = {0};

    memset(name, 'x', sizeof(name));
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(setenv("NOTIFY_SOCKET", bad[i], 1), 0);
        CHECK_EQ(notify_open(&err), -EINVAL);
    }
    CHECK_EQ(setenv("NOTIFY_SOCKET", name, 1), 0);
    CHECK_EQ(notify_open(&err), -EINVAL);
    CHECK_EQ(unsetenv("NOTIFY_SOCKET"), 0);
}

static void set_watchdog(const char *interval, const char *pid)
{
    CHECK_EQ(setenv("WATCHDOG_USEC", interval, 1), 0);
    CHECK_EQ(pid ? setenv("WATCHDOG_PID", pid, 1) : unsetenv("WATCHDOG_PID"), 0);
}

TEST(the_watchdogs_interval_is_ours_only_where_it_names_us)
{
    struct err err = {0};
    char self[16];

    CHECK(str_format(self, sizeof(self), "%d", (int)getpid()));
    CHECK_EQ(unsetenv("NOTIFY_SOCKET"), 0);
    set_watchdog("30000000", NULL);
    CHECK_OK(notify_open(&err), &err);
    CHECK_EQ(notify_watchdog_ns(), 30000000000);
    CHECK(getenv("WATCHDOG_USEC") == NULL);
    set_watchdog("1000000", self);
    CHECK_OK(notify_open(&err), &err);
    CHECK_EQ(notify_watchdog_ns(), 1000000000);
    set_watchdog("1000000", "1");
    CHECK_OK(notify_open(&err), &err);
    CHECK_EQ(notify_watchdog_ns(), 0);
    set_watchdog("soon", NULL);
    CHECK_EQ(notify_open(&err), -EINVAL);
    set_watchdog("1", "me");
    CHECK_EQ(notify_open(&err), -EINVAL);
}
