#include "tests/unit/slow_file.h"

#include "tests/harness.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct slow_file slow_file_make(void)
{
    struct linger linger = {.l_onoff = 1, .l_linger = (int)(SLOW_FILE_NS / 1000000000)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct slow_file file = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    static const char bytes[65536];

    CHECK_EQ(bind(listener, (struct sockaddr *)&address, length), 0);
    CHECK_EQ(listen(listener, 1), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    CHECK_EQ(connect(file.fd, (struct sockaddr *)&address, length), 0);
    file.reader = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(file.reader >= 0);
    close(listener);
    CHECK_EQ(setsockopt(file.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    while (send(file.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    return file;
}

void slow_file_let_go(struct slow_file *file)
{
    close(file->reader);
    file->reader = -1;
}
