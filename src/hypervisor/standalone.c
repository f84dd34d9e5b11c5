#include "hypervisor/standalone.h"

#include "hypervisor/keeper.h"
#include "hypervisor/keeper_watch.h"
#include "hypervisor/place_search.h"
#include "utils/clock.h"
#include "utils/closer.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define END_NS NS_PER_SEC

/* The thread that searches. What it is given and what it found are its own while it is busy. */
struct scout {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* is_busy, is_ending, has_ended; on CLOCK_MONOTONIC */
    bool is_busy, is_ending, has_ended;
    bool is_abandoned; /* the thread frees it all */
    struct place_search *search;
    char own_base[PATH_MAX], patterns[PATH_MAX];
    struct place_known known[STANDALONE_TENANTS_MAX];
    size_t known_count;
    uint64_t began_ns;
    struct place_found found[PLACE_SEARCH_TRIES];
    size_t found_count;
};

struct standalone {
    struct keeper_config config;
    struct list keepers;
    uint32_t tenant_count;
    uint64_t searched_ns;
    struct scout *scout;
};

/* --- the thread --- */

static void lock(struct scout *scout)
{
    (void)pthread_mutex_lock(&scout->lock); /* fails for misuse only */
}

static void unlock(struct scout *scout)
{
    (void)pthread_mutex_unlock(&scout->lock);
}

static void destroy(struct scout *scout)
{
    for (size_t i = 0; i < scout->found_count; i++)
        closer_end(&scout->found[i].fd, scout->found[i].uid);
    (void)pthread_cond_destroy(&scout->changed); /* fail for misuse only */
    (void)pthread_mutex_destroy(&scout->lock);
    place_search_free(scout->search);
    free(scout);
}

static void search(struct scout *scout)
{
    const struct place_search_input input = {.patterns = scout->patterns,
                                             .own_base = scout->own_base,
                                             .known = scout->known,
                                             .known_count = scout->known_count,
                                             .now_ns = scout->began_ns};

    scout->found_count = place_search_look(scout->search, &input, scout->found);
}

static void *run(void *context)
{
    struct scout *scout = context;
    bool is_abandoned;

    lock(scout);
    while (!scout->is_ending) {
        if (!scout->is_busy) {
            (void)pthread_cond_wait(&scout->changed, &scout->lock); /* cannot fail */
            continue;
        }
        unlock(scout);
        search(scout);
        lock(scout);
        scout->is_busy = false;
    }
    scout->has_ended = true;
    is_abandoned = scout->is_abandoned;
    (void)pthread_cond_broadcast(&scout->changed); /* cannot fail */
    unlock(scout);
    if (is_abandoned)
        destroy(scout);
    return NULL;
}

static int start(struct scout *scout, struct err *err)
{
    pthread_condattr_t attributes;
    int rc;

    (void)pthread_mutex_init(&scout->lock, NULL); /* these cannot fail on Linux */
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&scout->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    rc = place_search_new(&scout->search, err);
    if (!rc) {
        rc = pthread_create(&scout->thread, NULL, run, scout);
        if (rc)
            rc = err_set(err, rc, "start the thread that looks for other users' tenants");
    }
    if (rc < 0)
        destroy(scout);
    return rc;
}

static void stop(struct scout *scout)
{
    uint64_t end_ns = clock_now_ns() + END_NS;
    const struct timespec instant = {.tv_sec = (time_t)(end_ns / NS_PER_SEC),
                                     .tv_nsec = (long)(end_ns % NS_PER_SEC)};
    bool has_ended;

    lock(scout);
    scout->is_ending = true;
    (void)pthread_cond_broadcast(&scout->changed); /* cannot fail */
    while (!scout->has_ended &&
           pthread_cond_timedwait(&scout->changed, &scout->lock, &instant) != ETIMEDOUT)
        continue;
    has_ended = scout->has_ended;
    scout->is_abandoned = !has_ended;
    if (!has_ended) {
        log_warn("a runtime directory of another user's does not answer: leaving the thread that "
                 "waits for it");
        (void)pthread_detach(scout->thread); /* fails for misuse only */
        unlock(scout);
        return;
    }
    unlock(scout);
    (void)pthread_join(scout->thread, NULL); /* is at its end */
    destroy(scout);
}

/* --- tenants --- */

static void on_change(void *context, struct keeper *keeper, const struct keeper_status *before)
{
    (void)context;
    (void)keeper;
    (void)before; /* shown with the next look: they are not to keep us busy */
}

static void on_word(void *context, struct keeper *keeper)
{
    (void)context;
    (void)keeper;
}

static void forget(struct standalone *standalone, struct keeper *keeper)
{
    standalone->tenant_count--;
    free(keeper->owner_data); /* its directory */
    keeper_free(keeper);
}

static void on_end(void *context, struct keeper *keeper, int status)
{
    (void)status;
    forget(context, keeper);
}

static bool is_known(const struct standalone *standalone, const char *path)
{
    LIST_EACH(node, &standalone->keepers)
    if (str_equals(CONTAINER_OF(node, struct keeper, node)->owner_data, path))
        return true;
    return false;
}

static void meet(struct standalone *standalone, struct place_found *found)
{
    bool is_wanted =
        standalone->tenant_count < STANDALONE_TENANTS_MAX && !is_known(standalone, found->path);
    CLEANUP_FREE char *path = is_wanted ? strdup(found->path) : NULL;
    struct keeper *keeper;

    if (!path) {
        closer_end(&found->fd, found->uid); /* it may have descriptors in it that take for ever */
        return;
    }
    if (keeper_observe(&keeper, &standalone->config, found->name, found->uid, &found->fd) < 0) {
        log_debug("%s: no memory to look at it", found->path);
        return;
    }
    keeper->owner_data = TAKE_POINTER(path);
    list_append(&standalone->keepers, &keeper->node);
    standalone->tenant_count++;
}

/* --- looking --- */

/* With the thread at rest. */
static void take_found(struct standalone *standalone, struct scout *scout)
{
    for (size_t i = 0; i < scout->found_count; i++)
        meet(standalone, &scout->found[i]);
    scout->found_count = 0;
    if (scout->began_ns)
        standalone->searched_ns = scout->began_ns;
}

static void list_known(const struct standalone *standalone, struct scout *scout)
{
    scout->known_count = 0;
    LIST_EACH(node, &standalone->keepers)
    {
        const struct keeper *keeper = CONTAINER_OF(node, struct keeper, node);
        struct place_known *known = &scout->known[scout->known_count++];

        known->uid = keeper->tenant.uid;
        known->answers = keeper->has_status;
        (void)str_format(known->path, sizeof(known->path), "%s",
                         (const char *)keeper->owner_data); /* same size */
    }
}

static void search_again(struct standalone *standalone, const char *patterns, uint64_t now_ns)
{
    struct scout *scout = standalone->scout;

    lock(scout);
    if (!scout->is_busy) {
        take_found(standalone, scout);
        list_known(standalone, scout);
        scout->is_busy = str_format(scout->patterns, sizeof(scout->patterns), "%s",
                                    patterns ? patterns : ""); /* the configuration bounds it */
        scout->began_ns = now_ns;
        (void)pthread_cond_broadcast(&scout->changed); /* cannot fail */
    }
    unlock(scout);
}

void standalone_look(struct standalone *standalone, const char *patterns, uint64_t now_ns)
{
    search_again(standalone, patterns, now_ns);
    LIST_EACH_SAFE(node, following, &standalone->keepers)
    keeper_look(CONTAINER_OF(node, struct keeper, node), now_ns);
}

uint64_t standalone_searched_ns(const struct standalone *standalone)
{
    return standalone->searched_ns;
}

const struct list *standalone_keepers(const struct standalone *standalone)
{
    return &standalone->keepers;
}

const struct keeper *standalone_find(const struct standalone *standalone, const char *name)
{
    LIST_EACH(node, &standalone->keepers)
    {
        const struct keeper *keeper = CONTAINER_OF(node, struct keeper, node);

        if (keeper->has_status && str_equals(keeper->tenant.name, name))
            return keeper;
    }
    return NULL;
}

/* --- begin and end --- */

int standalone_new(struct standalone **ret_standalone, uv_loop_t *loop, const char *own_base,
                   struct err *err)
{
    CLEANUP_FREE struct standalone *standalone = calloc(1, sizeof(*standalone));
    struct scout *scout = calloc(1, sizeof(*scout));
    int rc;

    if (!standalone || !scout) {
        free(scout);
        return err_set(err, ENOMEM, "allocate what is known of other users' tenants");
    }
    standalone->config = (struct keeper_config){.loop = loop,
                                                .on_change = on_change,
                                                .on_ready = on_word,
                                                .on_lost = on_word,
                                                .on_end = on_end,
                                                .context = standalone};
    standalone->searched_ns = clock_now_ns();
    list_init(&standalone->keepers);
    (void)str_format(scout->own_base, sizeof(scout->own_base), "%s", own_base); /* shorter */
    rc = start(scout, err);
    if (rc < 0)
        return rc;
    standalone->scout = scout;
    *ret_standalone = TAKE_POINTER(standalone);
    return 0;
}

void standalone_free(struct standalone *standalone)
{
    if (!standalone)
        return;
    LIST_EACH_SAFE(node, following, &standalone->keepers)
    forget(standalone, CONTAINER_OF(node, struct keeper, node));
    stop(standalone->scout);
    free(standalone);
}
