#include "hypervisor/place_search.h"

#include "utils/clock.h"
#include "utils/parse.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define USERS_MAX     256
#define USER_PLACES   4 /* runtime directories of one user */
#define USER_ATTEMPTS 64
#define USER_LOOKS    1024 /* at names in those directories */
#define ATTEMPTS_MAX  2048
#define ENTRIES_MAX   (256 * 1024) /* of all directories that are read in one search */
#define WAIT_MOST_NS  (60 * NS_PER_SEC)

/* One that was tried, for as long as it is there. */
struct attempt {
    char path[RUNTIME_PATH_MAX];
    uint64_t wait_ns, due_ns; /* not before that instant again, unless it is another socket */
    ino_t inode;
    struct timespec made;
    uid_t uid;
    bool is_seen; /* by this search */
};

struct user {
    uid_t uid;
    uint32_t places, looks, tenants, tries, attempts;
};

struct place_search {
    struct attempt attempts[ATTEMPTS_MAX];
    uint32_t attempt_count;
    /* Of the search that goes on. */
    const struct place_search_input *input;
    struct place_found *found;
    size_t found_count;
    uint32_t tries, user_count;
    struct user users[USERS_MAX];
};

struct place {
    const char *path;
    int tenants_fd;
    struct user *user;
};

/* How many entries may still be read: what glob() calls back has no context. */
static _Thread_local uint32_t entries_left;

static struct dirent *read_entry(DIR *dir)
{
    if (!entries_left)
        return NULL;
    entries_left--;
    return readdir(dir);
}

/* --- bounds --- */

/* NULL: there are too many. */
static struct user *find_user(struct place_search *search, uid_t uid)
{
    for (uint32_t i = 0; i < search->user_count; i++)
        if (search->users[i].uid == uid)
            return &search->users[i];
    if (search->user_count == USERS_MAX)
        return NULL;
    search->users[search->user_count] = (struct user){.uid = uid};
    return &search->users[search->user_count++];
}

static struct attempt *find_attempt(struct place_search *search, const char *path)
{
    for (uint32_t i = 0; i < search->attempt_count; i++)
        if (str_equals(search->attempts[i].path, path))
            return &search->attempts[i];
    return NULL;
}

static const struct place_known *find_known(const struct place_search *search, const char *path)
{
    for (size_t i = 0; i < search->input->known_count; i++)
        if (str_equals(search->input->known[i].path, path))
            return &search->input->known[i];
    return NULL;
}

/* Whether there is room to try one, as far as its name and its user say. */
static bool has_room(const struct place_search *search, struct user *user,
                     const struct attempt *attempt)
{
    if (!attempt && (search->attempt_count == ATTEMPTS_MAX || user->attempts >= USER_ATTEMPTS))
        return false;
    return search->tries < PLACE_SEARCH_TRIES && user->tries < PLACE_SEARCH_USER_TRIES &&
           user->tenants < PLACE_SEARCH_TENANTS && user->looks++ < USER_LOOKS;
}

static bool is_same(const struct attempt *attempt, const struct stat *status)
{
    return attempt->inode == status->st_ino && attempt->made.tv_sec == status->st_ctim.tv_sec &&
           attempt->made.tv_nsec == status->st_ctim.tv_nsec;
}

/* It is tried: when that same socket may be tried again. */
static void note_try(struct place_search *search, struct user *user, struct attempt *attempt,
                     const struct stat *status)
{
    uint64_t wait_ns = is_same(attempt, status) ? 2 * attempt->wait_ns : 0;

    if (wait_ns < NS_PER_SEC)
        wait_ns = NS_PER_SEC;
    attempt->wait_ns = wait_ns < WAIT_MOST_NS ? wait_ns : WAIT_MOST_NS;
    attempt->due_ns = search->input->now_ns + attempt->wait_ns;
    attempt->inode = status->st_ino;
    attempt->made = status->st_ctim;
    search->tries++;
    user->tries++;
}

static struct attempt *add_attempt(struct place_search *search, struct user *user, const char *path)
{
    struct attempt *attempt = &search->attempts[search->attempt_count++];

    *attempt = (struct attempt){.uid = user->uid, .is_seen = true};
    (void)str_format(attempt->path, sizeof(attempt->path), "%s", path); /* same size */
    user->attempts++;
    return attempt;
}

/* --- one tenant --- */

/* The file `control` of a tenant, as it lies there: a socket of that user's and no link. */
static int open_control(const struct place *place, const char *name, struct stat *ret_status)
{
    CLEANUP_CLOSE int folder =
        openat(place->tenants_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP_CLOSE int control =
        folder < 0 ? -1 : openat(folder, "control", O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (control < 0 || fstat(control, ret_status) < 0 || !S_ISSOCK(ret_status->st_mode) ||
        ret_status->st_uid != place->user->uid)
        return -1;
    return TAKE_FD(control);
}

/* To the socket that was looked at, whatever has its name by now; never waits. */
static int connect_to(int control, uid_t uid)
{
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct sock_peer peer;

    (void)str_format(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d",
                     control); /* fits */
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        sock_get_peer(&peer, fd, NULL) < 0 || peer.uid != uid)
        return -1;
    return TAKE_FD(fd);
}

/* Returns the connection; -1: not now. */
static int try(struct place_search *search, const struct place *place, const char *name,
               const char *path)
{
    struct attempt *attempt = find_attempt(search, path);
    const struct place_known *known = find_known(search, path);
    CLEANUP_CLOSE int control = -1;
    struct stat status;

    if (attempt)
        attempt->is_seen = true;
    if (known && attempt && known->answers)
        attempt->wait_ns /= 2;
    if (known || !has_room(search, place->user, attempt))
        return -1;
    control = open_control(place, name, &status);
    if (control < 0 ||
        (attempt && is_same(attempt, &status) && search->input->now_ns < attempt->due_ns))
        return -1;
    if (!attempt)
        attempt = add_attempt(search, place->user, path);
    note_try(search, place->user, attempt, &status);
    return connect_to(control, place->user->uid);
}

static void meet(struct place_search *search, const struct place *place, const char *name)
{
    struct place_found *found = &search->found[search->found_count];
    char path[RUNTIME_PATH_MAX];
    int fd;

    if (parse_name(name, NULL) < 0 ||
        !str_format(path, sizeof(path), "%s/tenants/%s", place->path, name))
        return;
    fd = try(search, place, name, path);
    if (fd < 0)
        return;
    *found = (struct place_found){.uid = place->user->uid, .fd = fd};
    (void)str_format(found->path, sizeof(found->path), "%s", path); /* same size */
    (void)str_format(found->name, sizeof(found->name), "%s", name); /* checked */
    search->found_count++;
    place->user->tenants++;
}

/* --- places --- */

/* A directory and no link to one; who owns it is whose tenants they are. */
static int open_place(struct place_search *search, const char *path, struct user **ret_user)
{
    CLEANUP_CLOSE int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return -1;
    *ret_user = find_user(search, status.st_uid);
    if (!*ret_user || (*ret_user)->places == USER_PLACES)
        return -1;
    return openat(fd, "tenants", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static void look_at(struct place_search *search, const char *path)
{
    struct place place = {.path = path};
    const struct dirent *entry;
    DIR *dir;
    int fd;

    if (str_equals(path, search->input->own_base))
        return;
    fd = open_place(search, path, &place.user);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        attr_close(&fd);
        return;
    }
    place.user->places++;
    place.tenants_fd = fd;
    while ((entry = read_entry(dir)))
        meet(search, &place, entry->d_name);
    (void)closedir(dir);
}

static void *glob_open(const char *path)
{
    return opendir(path);
}

static struct dirent *glob_read(void *dir)
{
    return read_entry(dir);
}

static void glob_close(void *dir)
{
    (void)closedir(dir);
}

static void look_for(struct place_search *search, const char *pattern)
{
    glob_t found = {.gl_opendir = glob_open,
                    .gl_readdir = glob_read,
                    .gl_closedir = glob_close,
                    .gl_stat = stat,
                    .gl_lstat = lstat};

    if (glob(pattern, GLOB_NOSORT | GLOB_ALTDIRFUNC, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            look_at(search, found.gl_pathv[i]);
    globfree(&found);
}

/* --- a search --- */

static void begin(struct place_search *search, const struct place_search_input *input,
                  struct place_found *ret_found)
{
    struct user *user;

    search->input = input;
    search->found = ret_found;
    search->found_count = 0;
    search->tries = 0;
    search->user_count = 0;
    for (size_t i = 0; i < input->known_count; i++) {
        user = find_user(search, input->known[i].uid);
        if (user)
            user->tenants++;
    }
    for (uint32_t i = 0; i < search->attempt_count; i++) {
        search->attempts[i].is_seen = false;
        user = find_user(search, search->attempts[i].uid);
        if (user)
            user->attempts++;
    }
}

static void forget_gone(struct place_search *search)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < search->attempt_count; i++)
        if (search->attempts[i].is_seen)
            search->attempts[kept++] = search->attempts[i];
    search->attempt_count = kept;
}

size_t place_search_look(struct place_search *search, const struct place_search_input *input,
                         struct place_found *ret_found)
{
    char copy[PATH_MAX], *rest = copy, *pattern;

    begin(search, input, ret_found);
    entries_left = ENTRIES_MAX;
    if (str_format(copy, sizeof(copy), "%s", input->patterns)) /* the configuration bounds it */
        while ((pattern = strtok_r(rest, ",", &rest)))
            look_for(search, pattern);
    forget_gone(search);
    return search->found_count;
}

int place_search_new(struct place_search **ret_search, struct err *err)
{
    *ret_search = calloc(1, sizeof(**ret_search));
    return *ret_search ? 0 : err_set(err, ENOMEM, "allocate the search for other users' tenants");
}

void place_search_free(struct place_search *search)
{
    free(search);
}
