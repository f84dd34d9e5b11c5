#include "bootstrap/bootstrap.h"

#include "bootstrap/bootstrap_options.h"
#include "tests/harness.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder with a source, and the options to install from it. */
struct place {
    char folder[32], source[64], target[64], conf[64], nvidia_smi[64];
    struct bootstrap_options options;
};

static const char *path_in(const struct place *place, const char *name)
{
    static char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", place->folder, name);
    return path;
}

static void put(const struct place *place, const char *name, const char *text)
{
    FILE *file = fopen(path_in(place, name), "we");

    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0 && fclose(file) == 0);
}

static void place_init(struct place *place)
{
    (void)snprintf(place->folder, sizeof(place->folder), "/tmp/vgXXXXXX");
    CHECK(mkdtemp(place->folder) != NULL);
    (void)snprintf(place->source, sizeof(place->source), "%s/s", place->folder);
    (void)snprintf(place->target, sizeof(place->target), "%s/t/", place->folder);
    (void)snprintf(place->conf, sizeof(place->conf), "%s/c", place->folder);
    (void)snprintf(place->nvidia_smi, sizeof(place->nvidia_smi), "%s/smi", place->folder);
    CHECK_EQ(mkdir(place->source, 0755), 0);
    place->options = (struct bootstrap_options){.source = place->source,
                                                .target = place->target,
                                                .conf = place->conf,
                                                .nvidia_smi = place->nvidia_smi,
                                                .has_named_source = true};
}

static void place_fini(const struct place *place)
{
    char command[64];

    (void)snprintf(command, sizeof(command), "rm -r %s", place->folder);
    CHECK_EQ(system(command), 0);
}

static void run(const struct place *place)
{
    struct err err;

    CHECK_OK(bootstrap_run(&place->options, &err), &err);
}

/* The file's text with the place's folder as "@". */
static void check_file(const struct place *place, const char *name, const char *wanted)
{
    char text[1024] = "", shown[1024] = "", *at = text, *found;
    FILE *file = fopen(path_in(place, name), "re");
    size_t length;

    CHECK(file != NULL);
    length = fread(text, 1, sizeof(text) - 1, file);
    text[length] = '\0';
    fclose(file);
    while ((found = strstr(at, place->folder))) {
        length = strlen(shown);
        (void)snprintf(shown + length, sizeof(shown) - length, "%.*s@", (int)(found - at), at);
        at = found + strlen(place->folder);
    }
    length = strlen(shown);
    (void)snprintf(shown + length, sizeof(shown) - length, "%s", at);
    CHECK_STR_EQ(shown, wanted);
}

static void check_link(const struct place *place, const char *name, const char *wanted)
{
    char text[PATH_MAX] = "";

    CHECK(readlink(path_in(place, name), text, sizeof(text) - 1) >= 0);
    CHECK_STR_EQ(text, wanted);
}

static bool is_there(const struct place *place, const char *name)
{
    struct stat status;

    return lstat(path_in(place, name), &status) == 0;
}

TEST(with_a_limiter_it_is_named_and_the_stubs_are_not)
{
    struct place place;

    place_init(&place);
    put(&place, "s/libadd_path.so", "a");
    put(&place, "s/libcuda_limiter.so", "l");
    put(&place, "s/libcuda.so", "c");
    put(&place, "smi", "n");
    run(&place);
    check_file(&place, "c/ld.so.preload", "@/t/libadd_path.so\n@/t/libcuda_limiter.so\n");
    check_file(&place, "c/zz_tensor-fusion.conf", "@/t");
    check_file(&place, "t/libcuda.so", "c");
    check_file(&place, "t/nvidia-smi", "n");
    check_link(&place, "t/libcuda.so.1", "libcuda.so");
    check_link(&place, "t/libadd_path.so.1", "libadd_path.so");
    CHECK(!is_there(&place, "t/libnvidia-ml.so.1"));
    place.options.has_no_limiter = true;
    run(&place);
    check_file(&place, "c/ld.so.preload", "@/t/libadd_path.so\n@/t/libcuda.so\n");
    place_fini(&place);
}

TEST(without_a_limiter_the_stubs_are_named_as_far_as_they_are_there)
{
    struct place place;

    place_init(&place);
    place.options.is_gpu_node = true;
    put(&place, "s/libadd_path.so", "a");
    put(&place, "s/libnvidia-ml.so", "m");
    put(&place, "smi", "n");
    run(&place);
    check_file(&place, "c/ld.so.preload", "@/t/libadd_path.so\n@/t/libnvidia-ml.so\n");
    check_link(&place, "t/libnvidia-ml.so.1", "libnvidia-ml.so");
    CHECK(!is_there(&place, "t/nvidia-smi"));
    CHECK(!is_there(&place, "t/libcuda.so"));
    place_fini(&place);
}

TEST(a_source_that_was_named_has_to_be_there)
{
    struct place place;
    struct err err;

    place_init(&place);
    place.options.source = "/nowhere/at/all";
    CHECK_EQ(bootstrap_run(&place.options, &err), -ENOENT);
    place.options.has_named_source = false;
    CHECK_OK(bootstrap_run(&place.options, &err), &err);
    check_file(&place, "c/ld.so.preload", "");
    place_fini(&place);
}

TEST(links_are_replaced_where_they_are_ours_and_only_there)
{
    struct place place;
    char ours[128];

    place_init(&place);
    put(&place, "s/liba.so", "a");
    put(&place, "s/libb.so", "b");
    put(&place, "s/libc.so", "c");
    put(&place, "s/libadd_path.so", "p");
    CHECK_EQ(mkdir(place.target, 0755), 0);
    (void)snprintf(ours, sizeof(ours), "%s/t/liba.so", place.folder);
    CHECK_EQ(symlink(ours, path_in(&place, "t/liba.so.1")), 0);
    CHECK_EQ(symlink("/nowhere/libb.so", path_in(&place, "t/libb.so.1")), 0);
    put(&place, "t/libc.so.1", "file");
    CHECK_EQ(symlink("/elsewhere", path_in(&place, "t/libadd_path.so")), 0);
    run(&place);
    check_link(&place, "t/liba.so.1", "liba.so");
    check_link(&place, "t/libb.so.1", "/nowhere/libb.so");
    check_file(&place, "t/libc.so.1", "file");
    check_link(&place, "t/libadd_path.so", "/elsewhere");
    check_file(&place, "c/ld.so.preload", ""); /* what we cannot vouch for is not named */
    place_fini(&place);
}

TEST(a_preload_file_that_is_a_link_is_not_replaced)
{
    struct place place;
    struct err err;

    place_init(&place);
    put(&place, "s/libadd_path.so", "p");
    CHECK_EQ(mkdir(place.conf, 0755), 0);
    CHECK_EQ(symlink("/elsewhere", path_in(&place, "c/ld.so.preload")), 0);
    CHECK_EQ(bootstrap_run(&place.options, &err), -EEXIST);
    check_link(&place, "c/ld.so.preload", "/elsewhere");
    CHECK(!is_there(&place, "t/libadd_path.so"));
    place_fini(&place);
}

TEST(undoing_leaves_what_was_there_before)
{
    struct place place;

    place_init(&place);
    put(&place, "s/libadd_path.so", "p");
    put(&place, "s/libcuda_limiter.so", "l");
    put(&place, "smi", "n");
    CHECK_EQ(mkdir(place.conf, 0755), 0);
    CHECK_EQ(mkdir(place.target, 0755), 0);
    put(&place, "c/ld.so.preload", "/foreign.so\n");
    put(&place, "t/libforeign.so", "f");
    run(&place);
    check_file(&place, "c/ld.so.preload",
               "/foreign.so\n@/t/libadd_path.so\n@/t/libcuda_limiter.so\n");
    CHECK_EQ(unlink(path_in(&place, "s/libcuda_limiter.so")), 0); /* it knows without the source */
    place.options.is_undo = true;
    for (int i = 0; i < 2; i++) {
        run(&place);
        check_file(&place, "c/ld.so.preload", "/foreign.so\n");
        check_file(&place, "t/libforeign.so", "f");
        CHECK(!is_there(&place, "c/zz_tensor-fusion.conf"));
        CHECK_EQ(unlink(path_in(&place, "t/libforeign.so")), 0);
        CHECK_EQ(rmdir(place.target), 0); /* nothing else was in it */
        CHECK_EQ(mkdir(place.target, 0755), 0);
        put(&place, "t/libforeign.so", "f");
    }
    place_fini(&place);
}

TEST(a_list_of_installed_names_that_is_nonsense_removes_nothing_else)
{
    struct place place;

    place_init(&place);
    place.options.is_undo = true;
    CHECK_EQ(mkdir(place.target, 0755), 0);
    put(&place, "keep.so", "k");
    put(&place, "t/keep", "k");
    put(&place, "t/.vgpu-bootstrap", "../keep.so\nkeep\n.\n..\n\x01\x02.so\n");
    run(&place);
    CHECK(is_there(&place, "keep.so") && is_there(&place, "t/keep"));
    CHECK(!is_there(&place, "t/.vgpu-bootstrap"));
    place_fini(&place);
}

TEST(a_dry_run_changes_nothing)
{
    struct place place;

    place_init(&place);
    put(&place, "s/libadd_path.so", "p");
    place.options.is_dry_run = true;
    run(&place);
    CHECK(!is_there(&place, "t") && !is_there(&place, "c"));
    place_fini(&place);
}
