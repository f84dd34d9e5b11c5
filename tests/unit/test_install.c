#include "bootstrap/install.h"

#include "tests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BESIDE ".vgpu-bootstrap~"

/* A directory that is opened, in one that is removed at the end. */
struct place {
    char folder[32], path[40];
    struct install install;
};

static void place_init(struct place *place)
{
    struct err err;

    (void)snprintf(place->folder, sizeof(place->folder), "/tmp/vgXXXXXX");
    CHECK(mkdtemp(place->folder) != NULL);
    (void)snprintf(place->path, sizeof(place->path), "%s/a/b", place->folder);
    CHECK_OK(install_open(&place->install, place->path, NULL, INSTALL_MAKE, &err), &err);
}

static void place_fini(struct place *place)
{
    char command[64];

    install_close(&place->install);
    (void)snprintf(command, sizeof(command), "rm -r %s", place->folder);
    CHECK_EQ(system(command), 0);
}

static int make_source(const char *text)
{
    FILE *file = tmpfile();
    int fd;

    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0 && fflush(file) == 0);
    fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    CHECK(fd >= 0 && fclose(file) == 0);
    return fd;
}

static void check_text(const struct install *install, const char *name, const char *wanted)
{
    struct err err;
    char *text;

    CHECK_OK(install_read_text(install, name, &text, &err), &err);
    CHECK_STR_EQ(text, wanted);
    free(text);
}

TEST(a_directory_is_made_with_its_parents_and_found_again)
{
    struct install dry = {0};
    struct place place;
    struct err err;

    place_init(&place);
    /* Beside itself: a second lock of this process would never be granted. */
    CHECK_OK(install_open(&dry, place.path, &place.install, INSTALL_MAKE, &err), &err);
    install_close(&dry);
    place_fini(&place);
    CHECK_OK(install_open(&dry, place.path, NULL, INSTALL_DRY, &err), &err);
    CHECK_EQ(dry.fd, -1);
    CHECK_EQ(install_look(&dry, "x"), INSTALL_NOTHING);
    install_close(&dry);
    CHECK_EQ(access(place.folder, F_OK), -1);
    CHECK_EQ(install_open(&dry, "/dev/null/x", NULL, INSTALL_MAKE, &err), -ENOTDIR);
}

TEST(each_change_is_made_once)
{
    struct place place;
    struct stat status;
    struct err err;
    int fd = make_source("program");
    umask(077);

    place_init(&place);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(install_copy(&place.install, fd, "p", &err), &err);
        CHECK_OK(install_text(&place.install, "t", "text", &err), &err);
        CHECK_OK(install_link(&place.install, "l", "p", &err), &err);
        CHECK_EQ(place.install.changes, 3);
    }
    check_text(&place.install, "p", "program");
    check_text(&place.install, "t", "text");
    check_text(&place.install, "none", "");
    CHECK_EQ(fstatat(place.install.fd, "p", &status, 0), 0);
    CHECK_EQ(status.st_mode & 07777, 0755); /* whatever the umask */
    CHECK_EQ(fstatat(place.install.fd, "t", &status, 0), 0);
    CHECK_EQ(status.st_mode & 07777, 0644);
    CHECK_EQ(install_look(&place.install, "l"), INSTALL_LINK);
    CHECK_EQ(install_look(&place.install, BESIDE), INSTALL_NOTHING);
    for (int i = 0; i < 2; i++)
        CHECK_OK(install_remove(&place.install, "l", &err), &err);
    CHECK_EQ(place.install.changes, 4);
    umask(022);
    close(fd);
    place_fini(&place);
}

TEST(a_program_that_runs_the_old_file_keeps_it)
{
    struct place place;
    struct err err;
    int old = make_source("old"), new = make_source("new"), held = -1;
    char text[4] = "";

    place_init(&place);
    CHECK_OK(install_copy(&place.install, old, "p", &err), &err);
    CHECK_OK(install_read(&place.install, "p", &held, &err), &err);
    CHECK_OK(install_copy(&place.install, new, "p", &err), &err);
    CHECK_EQ(read(held, text, 3), 3);
    CHECK_STR_EQ(text, "old");
    check_text(&place.install, "p", "new");
    close(held);
    close(old);
    close(new);
    place_fini(&place);
}

TEST(what_a_killed_run_left_is_removed_by_the_next)
{
    struct place place;
    struct err err;

    place_init(&place);
    close(openat(place.install.fd, BESIDE, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    install_close(&place.install);
    CHECK_OK(install_open(&place.install, place.path, NULL, INSTALL_MAKE, &err), &err);
    CHECK_EQ(install_look(&place.install, BESIDE), INSTALL_NOTHING);
    place_fini(&place);
}

TEST(a_dry_run_changes_nothing_and_counts)
{
    struct install dry;
    struct place place;
    struct err err;
    int fd = make_source("x");

    place_init(&place);
    CHECK_OK(install_text(&place.install, "t", "text", &err), &err);
    CHECK_OK(install_open(&dry, place.path, NULL, INSTALL_DRY, &err), &err);
    CHECK_OK(install_copy(&dry, fd, "p", &err), &err);
    CHECK_OK(install_text(&dry, "t", "other", &err), &err);
    CHECK_OK(install_link(&dry, "l", "p", &err), &err);
    CHECK_OK(install_remove(&dry, "t", &err), &err);
    CHECK_EQ(dry.changes, 4);
    check_text(&dry, "t", "text");
    CHECK_EQ(install_look(&dry, "p"), INSTALL_NOTHING);
    CHECK_EQ(install_look(&dry, "l"), INSTALL_NOTHING);
    install_close(&dry);
    close(fd);
    place_fini(&place);
}

TEST(links_are_never_followed)
{
    struct place place;
    struct err err;
    char text[PATH_MAX];
    int fd;

    place_init(&place);
    CHECK_OK(install_link(&place.install, "l", "/etc/passwd", &err), &err);
    CHECK_EQ(install_read(&place.install, "l", &fd, &err), -ELOOP);
    CHECK(install_read_link(&place.install, "l", text, sizeof(text)));
    CHECK_STR_EQ(text, "/etc/passwd");
    CHECK(!install_read_link(&place.install, "l", text, 11)); /* cut, so nothing */
    CHECK(!install_read_link(&place.install, "none", text, sizeof(text)));
    place_fini(&place);
}

TEST(what_is_no_text_is_refused)
{
    struct place place;
    struct err err;
    char *text = NULL;

    place_init(&place);
    CHECK_EQ(mkdirat(place.install.fd, "d", 0700), 0);
    CHECK(install_read_text(&place.install, "d", &text, &err) < 0);
    close(openat(place.install.fd, "big", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    (void)snprintf(place.path, sizeof(place.path), "%s/a/b/big", place.folder);
    CHECK_EQ(truncate(place.path, 4 * INSTALL_TEXT_MAX), 0);
    CHECK_EQ(install_read_text(&place.install, "big", &text, &err), -EFBIG);
    CHECK(text == NULL);
    place_fini(&place);
}

TEST(where_it_fails_nothing_is_left_beside)
{
    struct place place;
    struct err err;
    int fd = make_source("x");

    place_init(&place);
    CHECK_EQ(mkdirat(place.install.fd, "d", 0700), 0);
    CHECK_EQ(install_copy(&place.install, fd, "d", &err), -EISDIR);
    CHECK_EQ(install_text(&place.install, "d", "x", &err), -EISDIR);
    CHECK(install_link(&place.install, "d", "x", &err) < 0);
    CHECK_EQ(install_look(&place.install, BESIDE), INSTALL_NOTHING);
    close(fd);
    place_fini(&place);
}
