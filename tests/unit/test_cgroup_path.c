#include "tests/harness.h"

#include "hypervisor/cgroup_path.h"
#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PID 4711

/* A /proc with one process, whose control groups are these lines. */
static int read_lines(const char *lines, char *ret_path, size_t size)
{
    char root[] = "/tmp/cgroupXXXXXX", directory[64], file[80];
    int rc;

    CHECK(mkdtemp(root));
    CHECK(str_format(directory, sizeof(directory), "%s/%d", root, PID));
    CHECK(str_format(file, sizeof(file), "%s/cgroup", directory));
    CHECK_EQ(mkdir(directory, 0700), 0);
    CHECK_EQ(file_write(file, lines, strlen(lines), NULL), 0);
    rc = cgroup_path_read(root, PID, ret_path, size);
    CHECK_EQ(unlink(file), 0);
    CHECK_EQ(rmdir(directory), 0);
    CHECK_EQ(rmdir(root), 0);
    return rc;
}

static void check_path(const char *lines, const char *wanted)
{
    char path[CGROUP_PATH_MAX];

    CHECK_EQ(read_lines(lines, path, sizeof(path)), 0);
    CHECK_STR_EQ(path, wanted);
}

TEST(the_unified_hierarchy_says_where_a_process_is)
{
    check_path("0::/system.slice/docker-1.scope\n", "/system.slice/docker-1.scope");
    check_path("0::/", "/");
    check_path("1:name=systemd:/s\n0::/a:b/c\n", "/a:b/c");
}

TEST(where_everybody_is_in_its_root_version_one_says_it)
{
    check_path("4:memory:/docker/1\n1:name=systemd:/docker/2\n0::/\n", "/docker/2");
    check_path("5:cpu,cpuacct:/\n4:memory:/docker/1\n", "/docker/1");
}

TEST(what_cannot_be_read_is_not_known)
{
    char path[16] = "before";

    CHECK_EQ(cgroup_path_read("/nowhere", PID, path, sizeof(path)), -ESRCH);
    CHECK_EQ(read_lines("", path, sizeof(path)), -ESRCH);
    CHECK_EQ(read_lines("nonsense\n1:\n::\n2:x:relative\n", path, sizeof(path)), -ESRCH);
    CHECK_EQ(read_lines("0::/longer-than-there-is-room\n", path, sizeof(path)), -ENAMETOOLONG);
    CHECK_STR_EQ(path, "before");
}

TEST(a_group_can_be_a_tenants_own_where_it_holds_a_container_or_a_service)
{
    CHECK(cgroup_path_can_be_own("/system.slice/docker-0123.scope"));
    CHECK(cgroup_path_can_be_own("/docker/0123"));
    CHECK(cgroup_path_can_be_own("/kubepods/burstable/pod1/0123"));
    CHECK(cgroup_path_can_be_own("/kubepods.slice/kubepods-pod1.slice/cri-containerd-2.scope"));
    CHECK(cgroup_path_can_be_own("/system.slice/train.service"));
    CHECK(cgroup_path_can_be_own("/../0123")); /* another container, seen from one */
    CHECK(cgroup_path_can_be_own("/user.slice/user-1000.slice/user@1000.service/user.slice/"
                                 "libpod-1.scope"));
}

TEST(the_root_a_slice_and_a_users_session_are_nobodys_own)
{
    CHECK(!cgroup_path_can_be_own("/"));
    CHECK(!cgroup_path_can_be_own(""));
    CHECK(!cgroup_path_can_be_own("/../.."));
    CHECK(!cgroup_path_can_be_own("/init.scope"));
    CHECK(!cgroup_path_can_be_own("/user.slice/user-1000.slice"));
    CHECK(!cgroup_path_can_be_own("/user.slice/user-1000.slice/session-3.scope"));
    CHECK(!cgroup_path_can_be_own("/user.slice/user-1000.slice/user@1000.service"));
    CHECK(!cgroup_path_can_be_own("/user.slice/user-1000.slice/user@1000.service/app.slice/"
                                  "vte-spawn-1.scope"));
    CHECK(!cgroup_path_can_be_own("/user.slice/user-1000.slice/user@1000.service/session.slice/"
                                  "org.gnome.Shell.service"));
}

TEST(a_group_is_in_itself_and_in_those_above_it)
{
    CHECK(cgroup_path_is_in("/a/b", "/a/b"));
    CHECK(cgroup_path_is_in("/a/b/c", "/a/b"));
    CHECK(!cgroup_path_is_in("/a/bc", "/a/b"));
    CHECK(!cgroup_path_is_in("/a", "/a/b"));
    CHECK(!cgroup_path_is_in("", "/a"));
}
