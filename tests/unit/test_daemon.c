#include "hypervisor/daemon.h"

#include "tests/harness.h"
#include "utils/file.h"
#include "utils/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One daemon at a time; each runs in a process of its own (its signals and its environment). */
static struct {
    char folder[32], file[64], log[64], manager[64];
    int manager_fd;
    int reloads, stops;
    char older_pool[32], newer_level[32];
} scene;

static void write_file(const char *text)
{
    CHECK_EQ(file_write(scene.file, text, strlen(text), NULL), 0);
}

static void begin(const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memset(&scene, 0, sizeof(scene));
    memcpy(scene.folder, "/tmp/vgpu-daemon-XXXXXX", sizeof("/tmp/vgpu-daemon-XXXXXX"));
    CHECK(mkdtemp(scene.folder) != NULL);
    CHECK(str_format(scene.file, sizeof(scene.file), "%s/config", scene.folder));
    CHECK(str_format(scene.log, sizeof(scene.log), "%s/log", scene.folder));
    CHECK(str_format(scene.manager, sizeof(scene.manager), "%s/manager", scene.folder));
    memcpy(address.sun_path, scene.manager, strlen(scene.manager));
    scene.manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK_EQ(bind(scene.manager_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQ(setenv("NOTIFY_SOCKET", scene.manager, 1), 0);
    write_file(text);
}

static void end(void)
{
    sigset_t none;

    CHECK_EQ(close(scene.manager_fd), 0);
    CHECK_EQ(unlink(scene.manager) | unlink(scene.file) | unlink(scene.log), 0);
    CHECK_EQ(rmdir(scene.folder), 0);
    CHECK_EQ(sigemptyset(&none), 0);
    CHECK_EQ(sigprocmask(SIG_SETMASK, &none, NULL), 0);
}

static int run_it(daemon_run *run)
{
    char log[80];
    char config[] = "--config";

    CHECK(str_format(log, sizeof(log), "--log-file=%s", scene.log));
    return daemon_main((char *[]){config, scene.file, log, NULL}, run);
}

static const char *logged(void)
{
    static char text[8192];

    CHECK(file_read(scene.log, text, sizeof(text), NULL) >= 0);
    return text;
}

static const char *heard(void)
{
    static char text[256];
    ssize_t length = recv(scene.manager_fd, text, sizeof(text) - 1, 0);

    text[length < 0 ? 0 : length] = '\0';
    return text;
}

static void on_reload(void *context, const struct config *newer, const struct config *older)
{
    scene.reloads++;
    CHECK(str_format(scene.older_pool, sizeof(scene.older_pool), "%s", older->gpu_pool));
    CHECK(str_format(scene.newer_level, sizeof(scene.newer_level), "%s", newer->log_level));
}

static void on_stop(void *context)
{
    scene.stops++;
}

static void hear(struct daemon *daemon, int signal)
{
    struct pollfd ready = {.fd = daemon_signal_fd(daemon), .events = POLLIN};

    CHECK_EQ(kill(getpid(), signal), 0);
    CHECK_EQ(poll(&ready, 1, 10000), 1);
    daemon_handle_signals(daemon);
}

static int live(struct daemon *daemon, struct err *err)
{
    daemon_set_handlers(daemon, &(struct daemon_handlers){on_reload, on_stop, NULL});
    CHECK_STR_EQ(getenv("VGPU_RUNTIME_DIR"), "/tmp/vgpu-daemon-test");
    CHECK_STR_EQ(daemon_config(daemon)->gpu_pool, "one");
    log_debug("before");

    write_file("runtime_dir: /tmp/vgpu-daemon-test\ngpu_pool: two\nlog_level: debug\n");
    hear(daemon, SIGHUP);
    CHECK_EQ(scene.reloads, 1);
    CHECK_STR_EQ(scene.older_pool, "one");
    CHECK_STR_EQ(scene.newer_level, "debug");
    CHECK_STR_EQ(daemon_config(daemon)->gpu_pool, "one"); /* takes a start */
    CHECK_STR_EQ(daemon_config(daemon)->log_level, "debug");
    log_debug("after");
    CHECK(strncmp(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27) == 0);
    CHECK_STR_EQ(heard(), "READY=1\n");

    write_file("log_level: error\nnonsense\n");
    hear(daemon, SIGHUP);
    CHECK_EQ(scene.reloads, 1);
    CHECK_STR_EQ(daemon_config(daemon)->log_level, "debug");
    CHECK(daemon_reload(daemon, err) == -EINVAL);
    CHECK(strstr(err->text, "/config:") != NULL);
    log_debug("still");

    hear(daemon, SIGTERM);
    hear(daemon, SIGINT);
    CHECK_EQ(scene.stops, 2);
    return 0;
}

TEST(a_reload_brings_the_new_or_leaves_the_old)
{
    begin("runtime_dir: /tmp/vgpu-daemon-test\ngpu_pool: one\nerl_update_interval_ms: 5\n");
    CHECK_EQ(run_it(live), 0);
    CHECK(strstr(logged(), "before") == NULL);
    CHECK(strstr(logged(), "option 'gpu_pool' was changed, which takes effect when") != NULL);
    CHECK(strstr(logged(), "after") != NULL);
    CHECK(strstr(logged(), "error daemon: the configuration stays as it was: ") != NULL);
    CHECK(strstr(logged(), "still") != NULL);
    CHECK(strstr(logged(), "'erl_update_interval_ms' has no effect") != NULL);
    for (int i = 0; i < 4; i++) /* what the two failures told */
        CHECK(*heard());
    CHECK_STR_EQ(heard(), "STOPPING=1\n");
    end();
}

static int reload_twice(struct daemon *daemon, struct err *err)
{
    int rc = daemon_reload(daemon, err);

    return rc ? rc : daemon_reload(daemon, err);
}

TEST(what_has_no_effect_is_said_once)
{
    const char *first;

    begin("runtime_dir: /tmp/vgpu-daemon-test\nscheduling_config: {a: 1}\n");
    CHECK_EQ(run_it(reload_twice), 0);
    first = strstr(logged(), "'scheduling_config' has no effect");
    CHECK(first != NULL &&
          strstr(first + strlen("'scheduling_config' has no effect"), "has no effect") == NULL);
    end();
}

static int break_down(struct daemon *daemon, struct err *err)
{
    return err_say(err, EIO, "the loop broke");
}

TEST(a_loop_that_fails_is_said_and_ends_with_one)
{
    begin("runtime_dir: /tmp/vgpu-daemon-test\n");
    CHECK_EQ(run_it(break_down), 1);
    CHECK(strstr(logged(), "error daemon: the loop broke\n") != NULL);
    end();
}

static int never(struct daemon *daemon, struct err *err)
{
    CHECK(false);
    return 0;
}

TEST(a_bad_configuration_does_not_begin)
{
    begin("log_level: loud\n");
    CHECK_EQ(run_it(never), 2);
    CHECK_EQ(file_write(scene.log, "", 0, NULL), 0); /* nothing was written: for end() */
    end();
}

/* Instead of the C library's: the directory service is not there yet. */
int getpwnam_r(const char *name, struct passwd *user, char *buffer, size_t size,
               struct passwd **ret_user)
{
    (void)name;
    (void)user;
    (void)buffer;
    (void)size;
    *ret_user = NULL;
    return EIO;
}

/* 2 would keep the service manager from starting it again. */
TEST(a_user_who_cannot_be_looked_up_is_no_bad_configuration)
{
    begin("policy: [{user: in-the-directory}]\n");
    CHECK_EQ(run_it(never), 1);
    CHECK_EQ(file_write(scene.log, "", 0, NULL), 0);
    end();
}

static int log_a_line(struct daemon *daemon, struct err *err)
{
    log_info("it runs");
    return 0;
}

TEST(a_log_that_cannot_be_opened_does_not_end_the_start)
{
    char config[] = "--config", log[] = "--log-file=/nowhere/log";

    begin("runtime_dir: /tmp/vgpu-daemon-test\n");
    CHECK_EQ(daemon_main((char *[]){config, scene.file, log, NULL}, log_a_line), 0);
    CHECK_EQ(file_write(scene.log, "", 0, NULL), 0);
    end();
}

/* Without the flag of the other tests, so that the file's log counts. */
static int move_log_away(struct daemon *daemon, struct err *err)
{
    write_file("runtime_dir: /tmp/vgpu-daemon-test\nlog_level: debug\nlog_file: /nowhere/log\n");
    CHECK_EQ(daemon_reload(daemon, err), -ENOENT);
    CHECK_STR_EQ(daemon_config(daemon)->log_level, "info");
    log_info("still here");
    return 0;
}

TEST(a_log_that_cannot_be_opened_leaves_a_reload_undone)
{
    char config[] = "--config", text[160];

    begin("");
    CHECK(str_format(text, sizeof(text), "runtime_dir: /tmp/vgpu-daemon-test\nlog_file: %s\n",
                     scene.log));
    write_file(text);
    CHECK_EQ(daemon_main((char *[]){config, scene.file, NULL}, move_log_away), 0);
    CHECK(strstr(logged(), "error daemon: the configuration stays as it was: open log file") !=
          NULL);
    CHECK(strstr(logged(), "info  test_daemon: still here\n") != NULL);
    end();
}
