#include "hypervisor/notify.h"

#include "utils/clock.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
    int fd; /* of no meaning while `length` is 0 */
    struct sockaddr_un address;
    socklen_t length; /* 0: there is nobody to tell */
    uint64_t watchdog_ns;
} manager;

static int read_watchdog(uint64_t *ret_ns, struct err *err)
{
    const char *interval = getenv("WATCHDOG_USEC"), *whom = getenv("WATCHDOG_PID");
    uint64_t value, pid;

    *ret_ns = 0;
    if (!interval || !*interval)
        return 0;
    if (whom && *whom) {
        if (parse_u64(&pid, whom, 1, INT32_MAX, err) < 0)
            return err_wrap(err, "WATCHDOG_PID");
        if (pid != (uint64_t)getpid())
            return 0; /* meant for another process, which passed it on to us */
    }
    if (parse_u64(&value, interval, 1, UINT64_MAX / NS_PER_US, err) < 0)
        return err_wrap(err, "WATCHDOG_USEC");
    *ret_ns = value * NS_PER_US;
    return 0;
}

static int read_address(struct sockaddr_un *ret_address, socklen_t *ret_length, struct err *err)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path ? strlen(path) : 0;

    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *ret_length = 0;
    if (!length)
        return 0;
    if ((path[0] != '/' && path[0] != '@') || length < 2 || length >= sizeof(ret_address->sun_path))
        return err_say(err, EINVAL, "NOTIFY_SOCKET '%s' names no socket", path);
    memcpy(ret_address->sun_path, path, length);
    *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (path[0] == '@')
        ret_address->sun_path[0] = '\0'; /* an abstract name has no NUL at its end */
    else
        (*ret_length)++;
    return 0;
}

int notify_open(struct err *err)
{
    struct sockaddr_un address;
    uint64_t watchdog_ns;
    socklen_t length;
    int rc = read_address(&address, &length, err);

    if (!rc)
        rc = read_watchdog(&watchdog_ns, err);
    if (rc < 0)
        return rc;
    notify_close();
    if (length) {
        manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (manager.fd < 0)
            return err_set(err, errno, "make a socket for the service manager");
    }
    manager.address = address;
    manager.length = length;
    manager.watchdog_ns = watchdog_ns;
    (void)unsetenv("NOTIFY_SOCKET"); /* fails for names that are none */
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    return 0;
}

void notify_close(void)
{
    if (manager.length)
        attr_close(&manager.fd);
    manager.length = 0;
    manager.watchdog_ns = 0;
}

static int tell(const char *text, struct err *err)
{
    ssize_t sent;

    if (!manager.length)
        return 0;
    do {
        sent = sendto(manager.fd, text, strlen(text), MSG_NOSIGNAL,
                      (const struct sockaddr *)&manager.address, manager.length);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? err_set(err, errno, "tell the service manager") : 1;
}

/* A status is a line: what follows a newline would be taken for a message of its own. */
static int tell_status(const char *before, const char *status, struct err *err)
{
    char text[512];
    struct str str;

    str_init(&str, text, sizeof(text));
    str_add(&str, "%s", before);
    if (status && *status)
        str_add(&str, "STATUS=%.*s\n", (int)strcspn(status, "\r\n"), status);
    return tell(text, err);
}

int notify_ready(const char *status, struct err *err)
{
    return tell_status("READY=1\n", status, err);
}

int notify_reloading(uint64_t monotonic_ns, struct err *err)
{
    char text[64];

    (void)str_format(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu\n",
                     (unsigned long long)(monotonic_ns / NS_PER_US)); /* always fits */
    return tell(text, err);
}

int notify_stopping(struct err *err)
{
    return tell("STOPPING=1\n", err);
}

int notify_watchdog(struct err *err)
{
    return tell("WATCHDOG=1\n", err);
}

int notify_status(const char *status, struct err *err)
{
    return tell_status("", status, err);
}

uint64_t notify_watchdog_ns(void)
{
    return manager.watchdog_ns;
}
