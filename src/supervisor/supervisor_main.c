/*
 * vgpu-supervisor - the program that the daemon executes for each tenant: it is in nobody's way to
 * find, takes its words from the daemon alone, and holds nothing of it but what it was given.
 */
#include "supervisor/runtime.h"
#include "supervisor/supervise.h"
#include "utils/log.h"
#include "utils/parse.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define USAGE_STATUS 2

enum word {
    WORD_PROGRAM,
    WORD_BASE,
    WORD_NAME,
    WORD_LISTEN,
    WORD_LEDGER,
    WORD_FRONT,
    WORD_SUCCESSOR,
    WORDS
};

/* A descriptor's number, or "-" for none. */
static int read_fd(const char *word)
{
    uint64_t value;

    return parse_u64(&value, word, 3, INT16_MAX, NULL) < 0 ? -1 : (int)value;
}

/*
 * What we say goes into a pipe that the daemon reads, and while it stands still nobody does: our
 * loop is not to wait there. Opened anew it is ours alone to decide; what we inherit, libuv makes
 * wait again with each supervisor that it starts.
 */
static void never_wait_for_the_log(void)
{
    struct stat status;
    CLEANUP_CLOSE int fd = -1;

    if (fstat(STDERR_FILENO, &status) < 0 || !S_ISFIFO(status.st_mode))
        return;
    fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        (void)fcntl(STDERR_FILENO, F_SETFL, O_WRONLY | O_NONBLOCK); /* without /proc: as good */
}

int main(int argc, char **argv)
{
    struct supervise config = {.words_fd = STDERR_FILENO};
    struct runtime runtime;
    struct err err;

    never_wait_for_the_log();
    if (argc != WORDS) {
        log_error("vgpu-supervisor is started by vgpu-hypervisor, one for each tenant");
        return USAGE_STATUS;
    }
    if (runtime_at(&runtime, argv[WORD_BASE], &err) < 0 || parse_name(argv[WORD_NAME], &err) < 0) {
        log_error("%s", err.text);
        return USAGE_STATUS;
    }
    config.runtime = &runtime;
    config.name = argv[WORD_NAME];
    config.listen_fd = read_fd(argv[WORD_LISTEN]);
    config.ledger_fd = read_fd(argv[WORD_LEDGER]);
    config.front_fd = read_fd(argv[WORD_FRONT]);
    config.is_successor = argv[WORD_SUCCESSOR][0] == '1';
    config.is_verbose = getenv("VGPU_LOG") == NULL;
    return supervise(&config);
}
