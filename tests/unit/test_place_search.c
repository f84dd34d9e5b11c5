#include "tests/harness.h"

#include "hypervisor/place_search.h"
#include "utils/clock.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOMEBODY 54321u
#define MANY     200

static struct {
    char base[32], pattern[48];
    struct place_search *search;
    struct place_search_input input;
    struct place_known known[PLACE_SEARCH_TRIES];
    struct place_found found[PLACE_SEARCH_TRIES];
    size_t count;
} at;

static void start(void)
{
    memset(&at, 0, sizeof(at));
    (void)str_format(at.base, sizeof(at.base), "/tmp/vgunitXXXXXX");
    CHECK(mkdtemp(at.base) != NULL);
    (void)str_format(at.pattern, sizeof(at.pattern), "/nowhere/*,%s/*", at.base);
    CHECK_OK(place_search_new(&at.search, NULL), NULL);
    at.input = (struct place_search_input){.patterns = at.pattern,
                                           .own_base = "/tmp/vgunit-nobody",
                                           .known = at.known,
                                           .now_ns = 100 * NS_PER_SEC};
}

static void hang_up(void)
{
    for (size_t i = 0; i < at.count; i++)
        (void)close(at.found[i].fd);
    at.count = 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void stop(void)
{
    hang_up();
    place_search_free(at.search);
    CHECK_EQ(nftw(at.base, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* `<base>/<words>`, until the next one. */
static const char *in_base(const char *words)
{
    static char path[PATH_MAX];

    CHECK(str_format(path, sizeof(path), "%s/%s", at.base, words));
    return path;
}

static void make_folder(const char *words)
{
    CHECK(mkdir(in_base(words), 0700) == 0 || errno == EEXIST);
}

/* The folders of a tenant, without its socket. */
static void make_tenant(const char *place, const char *name)
{
    char words[128];

    make_folder(place);
    (void)str_format(words, sizeof(words), "%s/tenants", place);
    make_folder(words);
    (void)str_format(words, sizeof(words), "%s/tenants/%s", place, name);
    make_folder(words);
}

/* A tenant with a socket at which somebody listens, which the caller closes. */
static int add_tenant(const char *place, const char *name)
{
    char words[128];
    struct err err;
    int fd = -1;

    make_tenant(place, name);
    (void)str_format(words, sizeof(words), "%s/tenants/%s/control", place, name);
    CHECK_OK(sock_listen(&fd, in_base(words), &err), &err);
    return fd;
}

static size_t look(void)
{
    hang_up();
    at.count = place_search_look(at.search, &at.input, at.found);
    return at.count;
}

static size_t look_later(uint64_t ns)
{
    at.input.now_ns += ns;
    return look();
}

static bool is_visited(int listen_fd)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

TEST(a_tenant_is_found_and_connected_to)
{
    char path[RUNTIME_PATH_MAX];
    int fd;

    start();
    fd = add_tenant("one", "a");
    CHECK_EQ(look(), 1);
    (void)str_format(path, sizeof(path), "%s/one/tenants/a", at.base);
    CHECK_STR_EQ(at.found[0].path, path);
    CHECK_STR_EQ(at.found[0].name, "a");
    CHECK_EQ(at.found[0].uid, geteuid());
    CHECK(fcntl(at.found[0].fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(at.found[0].fd, F_GETFD) & FD_CLOEXEC);
    CHECK(is_visited(fd));
    (void)close(fd);
    stop();
}

TEST(the_daemon_s_own_directory_is_left_out)
{
    char own[64];
    int fd;

    start();
    fd = add_tenant("own", "a");
    (void)str_format(own, sizeof(own), "%s/own", at.base);
    at.input.own_base = own;
    CHECK_EQ(look(), 0);
    CHECK(!is_visited(fd));
    (void)close(fd);
    stop();
}

TEST(who_is_known_is_not_connected_to_again)
{
    int fd;

    start();
    fd = add_tenant("one", "a");
    (void)str_format(at.known[0].path, sizeof(at.known[0].path), "%s/one/tenants/a", at.base);
    at.input.known_count = 1;
    CHECK_EQ(look(), 0);
    CHECK(!is_visited(fd));
    (void)close(fd);
    stop();
}

/* A victim's tenant lies in /hidden, which no pattern reaches; the links to it do not either. */
TEST(no_link_is_followed)
{
    char target[PATH_MAX];
    int fd;

    start();
    (void)str_format(at.pattern, sizeof(at.pattern), "%s/vgpu-*", at.base);
    fd = add_tenant("hidden", "a");
    (void)str_format(target, sizeof(target), "%s/hidden", at.base);
    CHECK_EQ(symlink(target, in_base("vgpu-1")), 0);
    make_folder("vgpu-2");
    (void)str_format(target, sizeof(target), "%s/hidden/tenants", at.base);
    CHECK_EQ(symlink(target, in_base("vgpu-2/tenants")), 0);
    make_folder("vgpu-3");
    make_folder("vgpu-3/tenants");
    (void)str_format(target, sizeof(target), "%s/hidden/tenants/a", at.base);
    CHECK_EQ(symlink(target, in_base("vgpu-3/tenants/a")), 0);
    make_tenant("vgpu-4", "a");
    (void)str_format(target, sizeof(target), "%s/hidden/tenants/a/control", at.base);
    CHECK_EQ(symlink(target, in_base("vgpu-4/tenants/a/control")), 0);
    CHECK_EQ(look(), 0);
    CHECK(!is_visited(fd));
    (void)close(fd);
    stop();
}

TEST(what_is_no_socket_is_no_tenant)
{
    int fd;

    start();
    make_tenant("one", "file");
    fd = open(in_base("one/tenants/file/control"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    (void)close(fd);
    make_tenant("one", "pipe");
    CHECK_EQ(mkfifo(in_base("one/tenants/pipe/control"), 0600), 0);
    make_tenant("one", "none");
    make_tenant("one", "a b");
    CHECK_EQ(look(), 0);
    stop();
}

TEST(a_socket_of_another_user_s_is_left_alone)
{
    int fd;

    if (geteuid() != 0)
        skip();
    start();
    fd = add_tenant("one", "a");
    CHECK_EQ(chown(in_base("one"), SOMEBODY, SOMEBODY), 0);
    CHECK_EQ(look(), 0);
    CHECK(!is_visited(fd));
    (void)close(fd);
    stop();
}

TEST(who_listens_must_be_whose_directory_it_is)
{
    int fd;

    if (geteuid() != 0)
        skip();
    start();
    fd = add_tenant("one", "a");
    CHECK_EQ(chown(in_base("one"), SOMEBODY, SOMEBODY), 0);
    CHECK_EQ(chown(in_base("one/tenants/a/control"), SOMEBODY, SOMEBODY), 0);
    CHECK_EQ(look(), 0); /* it is root who listens there */
    (void)close(fd);
    stop();
}

/* Fills a backlog of one; the descriptors stay open for as long as the test. */
static void fill_backlog(int fd, const char *path)
{
    int filler;

    CHECK_EQ(listen(fd, 0), 0);
    while (sock_connect(&filler, path, 1, NULL) == 0)
        ;
}

TEST(a_full_backlog_costs_no_time)
{
    uint64_t began_ns;
    char path[128];
    int fd;

    start();
    fd = add_tenant("one", "a");
    (void)str_format(path, sizeof(path), "%s", in_base("one/tenants/a/control"));
    fill_backlog(fd, path);
    for (int i = 0; i < MANY; i++) {
        char name[16], words[64];

        (void)str_format(name, sizeof(name), "b%d", i);
        make_tenant("one", name);
        (void)str_format(words, sizeof(words), "one/tenants/%s/control", name);
        CHECK_EQ(link(path, in_base(words)), 0);
    }
    began_ns = clock_now_ns();
    CHECK_EQ(look(), 0);
    CHECK(clock_now_ns() - began_ns < 3 * NS_PER_SEC); /* 200 waits of 20 ms were four seconds */
    (void)close(fd);
    stop();
}

TEST(who_does_not_stay_is_tried_again_later_and_later)
{
    int fd;

    start();
    fd = add_tenant("one", "a");
    CHECK_EQ(look(), 1);
    CHECK_EQ(look_later(NS_PER_SEC / 2), 0);
    CHECK_EQ(look_later(NS_PER_SEC / 2), 1);
    CHECK_EQ(look_later(NS_PER_SEC), 0);
    CHECK_EQ(look_later(NS_PER_SEC), 1);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(look_later(60 * NS_PER_SEC), 1);
    CHECK_EQ(look_later(59 * NS_PER_SEC), 0);
    (void)close(fd);
    fd = add_tenant("one", "a");
    CHECK_EQ(look(), 1); /* another tenant: its own turn */
    (void)close(fd);
    stop();
}

TEST(one_user_s_directory_does_not_use_up_what_there_is_for_all)
{
    int fds[MANY], fd;
    size_t others = 0;

    if (geteuid() != 0)
        skip();
    start();
    for (int i = 0; i < MANY; i++) {
        char name[16];

        (void)str_format(name, sizeof(name), "b%d", i);
        fds[i] = add_tenant("one", name);
    }
    CHECK_EQ(seteuid(0), 0);
    CHECK_EQ(chmod(at.base, 0777), 0);
    CHECK_EQ(seteuid(SOMEBODY), 0);
    fd = add_tenant("two", "a");
    CHECK_EQ(seteuid(0), 0);
    CHECK_EQ(look(), PLACE_SEARCH_USER_TRIES + 1);
    for (size_t i = 0; i < at.count; i++)
        others += at.found[i].uid == SOMEBODY;
    CHECK_EQ(others, 1);
    for (int i = 0; i < MANY; i++)
        (void)close(fds[i]);
    (void)close(fd);
    stop();
}

TEST(of_one_user_s_tenants_so_many_are_looked_at_and_no_more)
{
    int fds[MANY];

    start();
    for (int i = 0; i < MANY; i++) {
        char name[16];

        (void)str_format(name, sizeof(name), "b%d", i);
        fds[i] = add_tenant("one", name);
    }
    for (uint32_t i = 0; i < PLACE_SEARCH_TENANTS / PLACE_SEARCH_USER_TRIES; i++) {
        CHECK_EQ(look(), PLACE_SEARCH_USER_TRIES);
        for (size_t j = 0; j < at.count; j++) {
            struct place_known *known = &at.known[at.input.known_count++];

            *known = (struct place_known){.uid = at.found[j].uid, .answers = true};
            (void)str_format(known->path, sizeof(known->path), "%s", at.found[j].path);
        }
    }
    CHECK_EQ(look_later(NS_PER_SEC), 0);
    at.input.known_count = 0; /* all have ended: there is room again */
    CHECK_EQ(look_later(60 * NS_PER_SEC), PLACE_SEARCH_USER_TRIES);
    for (int i = 0; i < MANY; i++)
        (void)close(fds[i]);
    stop();
}
