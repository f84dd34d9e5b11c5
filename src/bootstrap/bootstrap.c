#include "bootstrap/bootstrap.h"

#include "bootstrap/bootstrap_options.h"
#include "bootstrap/install.h"
#include "bootstrap/name_list.h"
#include "bootstrap/preload_list.h"
#include "bootstrap/version.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST    ".vgpu-bootstrap"
#define PRELOAD     "ld.so.preload"
#define FOLDERS     "zz_tensor-fusion.conf"
#define NVIDIA_SMI  "nvidia-smi"
#define ADD_PATH    "libadd_path.so"
#define LIMITER     "libcuda_limiter.so"
#define CUDA_STUB   "libcuda.so"
#define NVML_STUB   "libnvidia-ml.so"
#define NAMED_COUNT 4

static const char *const ever_named[] = {ADD_PATH, LIMITER, CUDA_STUB, NVML_STUB, NULL};

struct run {
    const struct bootstrap_options *options;
    char folder[PATH_MAX]; /* the target without slashes at its end; "" for the root */
    struct install target, conf;
    struct name_list sources;  /* that the source has */
    struct name_list manifest; /* that this or an earlier run installed, or was about to */
    struct name_list present;  /* that the target has, or would have after a dry run */
};

static void run_fini(struct run *run)
{
    install_close(&run->conf);
    install_close(&run->target);
    name_list_fini(&run->sources);
    name_list_fini(&run->manifest);
    name_list_fini(&run->present);
}

static int run_init(struct run *run, const struct bootstrap_options *options, struct err *err)
{
    enum install_mode mode = options->is_dry_run ? INSTALL_DRY
                             : options->is_undo  ? INSTALL_KEEP
                                                 : INSTALL_MAKE;
    size_t length = strlen(options->target);
    int rc;

    *run = (struct run){.options = options, .target = {.fd = -1}, .conf = {.fd = -1}};
    while (length && options->target[length - 1] == '/')
        length--;
    if (!str_format(run->folder, sizeof(run->folder), "%.*s", (int)length, options->target))
        return err_set(err, ENAMETOOLONG, "use '%s'", options->target);
    rc = install_open(&run->target, options->target, NULL, mode, err);
    if (rc == 0)
        rc = install_open(&run->conf, options->conf, &run->target, mode, err);
    return rc;
}

static bool is_ours_to_replace(const struct install *install, const char *name)
{
    enum install_kind kind = install_look(install, name);

    return kind == INSTALL_NOTHING || kind == INSTALL_FILE;
}

/* Every installation needs these two, so one that is not ours to replace is a failure. */
static int check_text(const struct install *install, const char *name, struct err *err)
{
    if (is_ours_to_replace(install, name))
        return 0;
    return err_say(err, EEXIST, "'%s/%s' is a link or no file: it is not replaced", install->path,
                   name);
}

static int read_text_list(struct run *run, struct err *err)
{
    CLEANUP_FREE char *text = NULL;
    int rc = install_read_text(&run->target, MANIFEST, &text, err);

    return rc < 0 ? rc : name_list_add_text(&run->manifest, text, err);
}

/* --- installing ------------------------------------------------------------------------------- */

static int read_sources(struct run *run, struct err *err)
{
    struct err reason = {0};
    int rc = name_list_add_folder(&run->sources, run->options->source, &reason);

    if (rc == -ENOENT && !run->options->has_named_source) {
        log_warn("bootstrap: '%s' is not there: no library is installed", run->options->source);
        return 0;
    }
    return rc < 0 ? err_say(err, -rc, "%s", reason.text) : 0;
}

/* Opens a regular file to install; *ret_fd is -1 where there is none. */
static int open_source(const char *path, int *ret_fd, struct err *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat status;

    if (fd < 0 && errno != ENOENT)
        return err_set(err, errno, "read '%s'", path);
    if (fd >= 0 && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)))
        attr_close(&fd);
    *ret_fd = fd < 0 ? -1 : TAKE_FD(fd);
    return 0;
}

static int write_manifest(struct run *run, bool has_nvidia_smi, struct err *err)
{
    CLEANUP_FREE char *text = NULL;
    int rc = read_text_list(run, err);

    for (size_t i = 0; rc == 0 && i < run->sources.count; i++)
        if (is_ours_to_replace(&run->target, run->sources.names[i]))
            rc = name_list_add(&run->manifest, run->sources.names[i], err);
    if (rc == 0 && has_nvidia_smi && is_ours_to_replace(&run->target, NVIDIA_SMI))
        rc = name_list_add(&run->manifest, NVIDIA_SMI, err);
    if (rc < 0 || !run->manifest.count)
        return rc;
    text = name_list_text(&run->manifest);
    if (!text)
        return err_set(err, ENOMEM, "write '%s'", MANIFEST);
    return install_text(&run->target, MANIFEST, text, err);
}

/* Whether what stands there is known to be newer, or has a version where the other has none. */
static bool is_newer(const struct run *run, int source_fd, const char *name)
{
    char there[VERSION_TEXT_MAX], source[VERSION_TEXT_MAX] = "";
    CLEANUP_CLOSE int fd = -1;

    if (run->options->may_downgrade || install_read(&run->target, name, &fd, NULL) < 0 ||
        !version_read(fd, there))
        return false;
    if (version_read(source_fd, source) && version_compare(source, there) >= 0)
        return false;
    log_warn("bootstrap: '%s/%s' is kept: it has version %s, the source %s (see --downgrade)",
             run->folder, name, there, source[0] ? source : "none");
    return true;
}

/* Installs one file that is open, or keeps the one that is there. */
static int install_one(struct run *run, int source_fd, const char *name, struct err *err)
{
    int rc;

    if (!is_ours_to_replace(&run->target, name)) {
        log_warn("bootstrap: '%s/%s' is left alone: it is a link or no file", run->folder, name);
        return 0;
    }
    rc = name_list_add(&run->present, name, err);
    if (rc == 0 && !is_newer(run, source_fd, name))
        rc = install_copy(&run->target, source_fd, name, err);
    return rc;
}

static int install_library(struct run *run, const char *name, struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    char path[PATH_MAX];
    int rc;

    if (!str_format(path, sizeof(path), "%s/%s", run->options->source, name))
        return err_set(err, ENAMETOOLONG, "read '%s'", name);
    rc = open_source(path, &fd, err);
    return rc < 0 || fd < 0 ? rc : install_one(run, fd, name, err);
}

static bool is_present(const struct run *run, const char *name)
{
    return name_list_has(&run->present, name) || install_look(&run->target, name) == INSTALL_FILE;
}

/* `<name>.so.1`; false where it is too long for a name. */
static bool name_link(const char *library, char ret_name[NAME_MAX + 1])
{
    return str_format(ret_name, NAME_MAX + 1, "%s.1", library);
}

/*
 * A link that says where we would have had it lead, in one of the two ways, wherever it leads
 * now.
 */
static bool is_our_link(const struct run *run, const char *link, const char *library)
{
    char text[PATH_MAX], whole[PATH_MAX];

    if (!install_read_link(&run->target, link, text, sizeof(text)))
        return false;
    return str_equals(text, library) ||
           (str_format(whole, sizeof(whole), "%s/%s", run->folder, library) &&
            str_equals(text, whole));
}

static int link_library(struct run *run, const char *library, struct err *err)
{
    char link[NAME_MAX + 1];

    if (!is_present(run, library) || !name_link(library, link))
        return 0;
    if (install_look(&run->target, link) != INSTALL_NOTHING && !is_our_link(run, link, library)) {
        log_warn("bootstrap: '%s/%s' is left alone: it is not ours", run->folder, link);
        return 0;
    }
    return install_link(&run->target, link, library, err);
}

static int install_libraries(struct run *run, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < run->sources.count; i++)
        rc = install_library(run, run->sources.names[i], err);
    for (size_t i = 0; rc == 0 && i < run->sources.count; i++)
        rc = link_library(run, run->sources.names[i], err);
    /* Of an earlier run, perhaps one of another program. */
    return rc < 0 ? rc : link_library(run, NVML_STUB, err);
}

/* The names that ld.so.preload is to have, of those that are there. */
static void choose_named(const struct run *run, const char *ret_named[NAMED_COUNT + 1])
{
    bool has_limiter = name_list_has(&run->sources, LIMITER) && !run->options->has_no_limiter;
    const char *const *name = ever_named;

    for (; *name; name++) {
        bool is_stub = str_equals(*name, CUDA_STUB) || str_equals(*name, NVML_STUB);
        bool is_wanted = str_equals(*name, ADD_PATH) || is_stub != has_limiter;

        if (is_wanted && is_present(run, *name))
            *ret_named++ = *name;
    }
    *ret_named = NULL;
}

static int edit_preload(struct run *run, const char *const *named, char **ret_text, struct err *err)
{
    const struct preload_list_ours ours = {.folder = run->folder, .names = ever_named};
    char paths[NAMED_COUNT][PATH_MAX];
    const char *wanted[NAMED_COUNT + 1] = {NULL};
    CLEANUP_FREE char *text = NULL;
    int rc = install_read_text(&run->conf, PRELOAD, &text, err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; named[i]; i++) {
        if (!str_format(paths[i], sizeof(paths[i]), "%s/%s", run->folder, named[i]))
            return err_set(err, ENAMETOOLONG, "name '%s'", named[i]);
        wanted[i] = paths[i];
    }
    *ret_text = preload_list_edit(text, &ours, wanted);
    return *ret_text ? 0 : err_set(err, ENOMEM, "write '%s'", PRELOAD);
}

static int write_conf(struct run *run, struct err *err)
{
    const char *named[NAMED_COUNT + 1];
    CLEANUP_FREE char *preload = NULL;
    int rc;

    choose_named(run, named);
    rc = install_text(&run->conf, FOLDERS, run->folder[0] ? run->folder : "/", err);
    if (rc == 0)
        rc = edit_preload(run, named, &preload, err);
    return rc < 0 ? rc : install_text(&run->conf, PRELOAD, preload, err);
}

static int install_all(struct run *run, struct err *err)
{
    CLEANUP_CLOSE int smi_fd = -1;
    int rc = read_sources(run, err);

    if (rc == 0)
        rc = check_text(&run->conf, PRELOAD, err);
    if (rc == 0)
        rc = check_text(&run->conf, FOLDERS, err);
    if (rc == 0)
        rc = check_text(&run->target, MANIFEST, err);
    if (rc == 0 && !run->options->is_gpu_node)
        rc = open_source(run->options->nvidia_smi, &smi_fd, err);
    if (rc == 0)
        rc = write_manifest(run, smi_fd >= 0, err);
    if (rc == 0)
        rc = install_libraries(run, err);
    if (rc == 0 && smi_fd >= 0)
        rc = install_one(run, smi_fd, NVIDIA_SMI, err);
    return rc < 0 ? rc : write_conf(run, err);
}

/* --- and back --------------------------------------------------------------------------------- */

static bool is_blank(const char *text)
{
    return !text[strspn(text, " \t\r\n")];
}

static int unname(struct run *run, struct err *err)
{
    static const char *const none[] = {NULL};
    CLEANUP_FREE char *text = NULL;
    int rc;

    if (install_look(&run->conf, PRELOAD) != INSTALL_FILE)
        return 0;
    rc = edit_preload(run, none, &text, err);
    if (rc < 0)
        return rc;
    return is_blank(text) ? install_remove(&run->conf, PRELOAD, err)
                          : install_text(&run->conf, PRELOAD, text, err);
}

static int remove_folders(struct run *run, struct err *err)
{
    CLEANUP_FREE char *text = NULL;
    int rc;

    if (install_look(&run->conf, FOLDERS) != INSTALL_FILE)
        return 0;
    rc = install_read_text(&run->conf, FOLDERS, &text, err);
    if (rc < 0)
        return rc;
    text[strcspn(text, "\n")] = '\0';
    if (str_equals(text, run->folder[0] ? run->folder : "/"))
        return install_remove(&run->conf, FOLDERS, err);
    log_warn("bootstrap: '%s/%s' is left alone: it names '%s'", run->conf.path, FOLDERS, text);
    return 0;
}

static int remove_one(struct run *run, const char *name, struct err *err)
{
    char link[NAME_MAX + 1];
    int rc = 0;

    if (!name_is_library(name) && !str_equals(name, NVIDIA_SMI))
        return 0;
    if (name_link(name, link) && is_our_link(run, link, name))
        rc = install_remove(&run->target, link, err);
    if (rc == 0 && install_look(&run->target, name) == INSTALL_FILE)
        rc = install_remove(&run->target, name, err);
    return rc;
}

static int undo_all(struct run *run, struct err *err)
{
    int rc = unname(run, err);

    if (rc == 0)
        rc = remove_folders(run, err);
    if (rc == 0)
        rc = install_look(&run->target, MANIFEST) == INSTALL_FILE ? read_text_list(run, err) : 0;
    for (size_t i = 0; rc == 0 && i < run->manifest.count; i++)
        rc = remove_one(run, run->manifest.names[i], err);
    /* Last: until then another undo knows what to do. */
    if (rc == 0 && install_look(&run->target, MANIFEST) == INSTALL_FILE)
        rc = install_remove(&run->target, MANIFEST, err);
    return rc;
}

int bootstrap_run(const struct bootstrap_options *options, struct err *err)
{
    CLEANUP(run_fini) struct run run;
    int rc = run_init(&run, options, err);

    if (rc < 0)
        return rc;
    rc = options->is_undo ? undo_all(&run, err) : install_all(&run, err);
    if (rc == 0 && !run.target.changes && !run.conf.changes)
        log_info("bootstrap: nothing is to be changed");
    return rc;
}
