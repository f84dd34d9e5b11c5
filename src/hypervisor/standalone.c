#include "hypervisor/standalone.h"

#include "hypervisor/keeper.h"
#include "hypervisor/keeper_watch.h"
#include "supervisor/runtime.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PLACES_MAX  256 /* runtime directories */
#define TENANTS_MAX 512
#define ENTRIES_MAX 1024 /* of one directory that are looked at */

/* One runtime directory; kept for as long as the daemon lives: users come again. */
struct place {
    struct list node;
    struct standalone *owner;
    struct runtime runtime;
    struct keeper_config config;
    uid_t uid;
};

struct standalone {
    struct standalone_config config;
    struct list places, keepers;
    uint32_t place_count, tenant_count;
};

/* --- tenants --- */

static void on_change(void *context, struct keeper *keeper, const struct keeper_status *before)
{
    const struct place *place = context;

    (void)keeper;
    (void)before;
    place->owner->config.on_change(place->owner->config.context);
}

static void on_word(void *context, struct keeper *keeper)
{
    (void)context;
    (void)keeper;
}

static void on_end(void *context, struct keeper *keeper, int status)
{
    struct place *place = context;

    (void)status;
    place->owner->tenant_count--;
    keeper_free(keeper);
    place->owner->config.on_change(place->owner->config.context);
}

static bool is_known(const struct place *place, const char *name)
{
    LIST_EACH(node, &place->owner->keepers)
    {
        const struct keeper *keeper = CONTAINER_OF(node, struct keeper, node);

        if (keeper->config == &place->config && str_equals(keeper->tenant.name, name))
            return true;
    }
    return false;
}

static void meet(struct place *place, const char *name)
{
    struct keeper *keeper;
    struct err err;

    if (place->owner->tenant_count >= TENANTS_MAX || parse_name(name, NULL) < 0 ||
        is_known(place, name))
        return;
    if (keeper_observe(&keeper, &place->config, name, place->uid, &err) < 0) {
        log_debug("%s: %s", place->runtime.base, err.text);
        return;
    }
    list_append(&place->owner->keepers, &keeper->node);
    place->owner->tenant_count++;
}

/* --- places --- */

static struct place *find_place(const struct standalone *standalone, const char *path)
{
    LIST_EACH(node, &standalone->places)
    {
        struct place *place = CONTAINER_OF(node, struct place, node);

        if (str_equals(place->runtime.base, path))
            return place;
    }
    return NULL;
}

static struct place *add_place(struct standalone *standalone, const char *path)
{
    struct place *place = standalone->place_count < PLACES_MAX ? calloc(1, sizeof(*place)) : NULL;

    if (!place)
        return NULL;
    if (runtime_at(&place->runtime, path, NULL) < 0) {
        free(place);
        return NULL;
    }
    place->owner = standalone;
    place->config = (struct keeper_config){.loop = standalone->config.loop,
                                           .runtime = &place->runtime,
                                           .on_change = on_change,
                                           .on_ready = on_word,
                                           .on_lost = on_word,
                                           .on_end = on_end,
                                           .context = place};
    list_append(&standalone->places, &place->node);
    standalone->place_count++;
    return place;
}

/* A directory and no link to one; who owns it is whose tenants they are. */
static bool is_directory(const char *path, uid_t *ret_uid)
{
    struct stat status;

    if (lstat(path, &status) < 0 || !S_ISDIR(status.st_mode))
        return false;
    *ret_uid = status.st_uid;
    return true;
}

static void look_at(struct standalone *standalone, const char *path)
{
    struct place *place = find_place(standalone, path);
    char tenants[PATH_MAX];
    struct dirent *entry;
    int left = ENTRIES_MAX;
    uid_t uid;
    DIR *dir;

    if (str_equals(path, standalone->config.own_base) || !is_directory(path, &uid) ||
        !str_format(tenants, sizeof(tenants), "%s/tenants", path))
        return;
    dir = opendir(tenants);
    if (dir && !place)
        place = add_place(standalone, path);
    if (place)
        place->uid = uid;
    while (dir && place && left-- && (entry = readdir(dir)))
        meet(place, entry->d_name);
    if (dir)
        (void)closedir(dir);
}

static void look_for(struct standalone *standalone, const char *pattern)
{
    glob_t found;

    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && i < PLACES_MAX; i++)
            look_at(standalone, found.gl_pathv[i]);
    globfree(&found);
}

void standalone_look(struct standalone *standalone, const char *patterns, uint64_t now_ns)
{
    char copy[PATH_MAX], *rest = copy, *pattern;

    if (!str_format(copy, sizeof(copy), "%s", patterns ? patterns : ""))
        return; /* the configuration bounds it */
    while ((pattern = strtok_r(rest, ",", &rest)))
        look_for(standalone, pattern);
    LIST_EACH_SAFE(node, following, &standalone->keepers)
    keeper_look(CONTAINER_OF(node, struct keeper, node), now_ns);
}

const struct list *standalone_keepers(const struct standalone *standalone)
{
    return &standalone->keepers;
}

/* --- begin and end --- */

int standalone_new(struct standalone **ret_standalone, const struct standalone_config *config,
                   struct err *err)
{
    struct standalone *standalone = calloc(1, sizeof(*standalone));

    if (!standalone)
        return err_set(err, ENOMEM, "allocate what is known of other users' tenants");
    standalone->config = *config;
    list_init(&standalone->places);
    list_init(&standalone->keepers);
    *ret_standalone = standalone;
    return 0;
}

void standalone_free(struct standalone *standalone)
{
    if (!standalone)
        return;
    LIST_EACH_SAFE(node, following, &standalone->keepers)
    keeper_free(CONTAINER_OF(node, struct keeper, node));
    LIST_EACH_SAFE(node, following, &standalone->places)
    {
        list_remove(node);
        free(CONTAINER_OF(node, struct place, node));
    }
    free(standalone);
}
