#include "cli/top_gather.h"

#include "cli/listing.h"
#include "cli/top_model.h"
#include "supervisor/gpus.h"
#include "supervisor/runtime.h"
#include "utils/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * Each thread has one kind of work: the lister lists tenants and asks the GPUs, the sender sends
 * what was changed, the others ask tenants, which are in a lane each.
 */
enum work { WORK_LIST, WORK_SEND, WORK_ASK_FAST, WORK_ASK_SLOW, WORK_KINDS };
static const int thread_counts[WORK_KINDS] = {
    [WORK_LIST] = 1, [WORK_SEND] = 1, [WORK_ASK_FAST] = 4, [WORK_ASK_SLOW] = 2};

enum phase { PHASE_IDLE, PHASE_WAITING, PHASE_ASKED };
enum outcome { OUTCOME_NONE, OUTCOME_ANSWERED, OUTCOME_SILENT, OUTCOME_GONE };

struct entry {
    char name[64];
    bool is_listed, is_slow;
    enum phase phase;
    enum outcome outcome;
    struct listing_tenant tenant; /* of ANSWERED */
};

struct top_gather {
    pthread_mutex_t lock; /* of all that follows but the constant */
    pthread_cond_t work;
    int event_fd;           /* constant */
    struct runtime runtime; /* constant */
    int references;
    bool is_ending;
    struct entry *entries[LISTING_TENANTS_MAX]; /* owned */
    size_t entry_count;
    bool wants_list, is_listing, is_announced; /* the round's end was told */
    struct err list_err;                       /* of the last listing */
    struct top_gpu gpus[REGION_GPUS_MAX];
    size_t gpu_count;
    bool wants_send, is_sending, has_answer;
    char send_tenant[64];
    struct message_set send_set;
    int send_rc;
    struct err send_err;
};

static void notify(struct top_gather *gather)
{
    uint64_t one = 1;

    /* It fails only where it is readable as it is. */
    if (write(gather->event_fd, &one, sizeof(one)) < 0)
        return;
}

static void free_entry(struct entry *entry)
{
    if (entry->outcome == OUTCOME_ANSWERED)
        listing_tenant_fini(&entry->tenant);
    free(entry);
}

/* Called with the lock, which is gone afterwards. */
static void drop_reference(struct top_gather *gather)
{
    bool is_last = --gather->references == 0;

    pthread_mutex_unlock(&gather->lock);
    if (!is_last)
        return;
    for (size_t i = 0; i < gather->entry_count; i++)
        free_entry(gather->entries[i]);
    pthread_cond_destroy(&gather->work);
    pthread_mutex_destroy(&gather->lock);
    attr_close(&gather->event_fd);
    free(gather);
}

/* A round is complete when nobody that is not slow is waited for. With the lock. */
static bool is_complete(const struct top_gather *gather)
{
    if (gather->wants_list || gather->is_listing)
        return false;
    for (size_t i = 0; i < gather->entry_count; i++)
        if (gather->entries[i]->phase != PHASE_IDLE && !gather->entries[i]->is_slow)
            return false;
    return true;
}

/* With the lock. */
static void announce(struct top_gather *gather)
{
    if (gather->is_announced || !is_complete(gather))
        return;
    gather->is_announced = true;
    notify(gather);
}

/* --- listing --- */

static struct entry *find_entry(struct top_gather *gather, const char *name)
{
    struct entry *entry;

    for (size_t i = 0; i < gather->entry_count; i++)
        if (str_equals(gather->entries[i]->name, name))
            return gather->entries[i];
    if (gather->entry_count == LISTING_TENANTS_MAX)
        return NULL;
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    (void)str_format(entry->name, sizeof(entry->name), "%s", name); /* same size */
    gather->entries[gather->entry_count++] = entry;
    return entry;
}

/* With the lock. */
static void take_listing(struct top_gather *gather, const struct listing *listing)
{
    size_t kept = 0;

    for (size_t i = 0; i < gather->entry_count; i++)
        gather->entries[i]->is_listed = false;
    for (size_t i = 0; i < listing->count; i++) {
        struct entry *entry = find_entry(gather, listing->names[i]);

        if (!entry)
            continue;
        entry->is_listed = true;
        if (entry->phase == PHASE_IDLE)
            entry->phase = PHASE_WAITING;
    }
    for (size_t i = 0; i < gather->entry_count; i++) {
        struct entry *entry = gather->entries[i];

        if (entry->is_listed || entry->phase == PHASE_ASKED)
            gather->entries[kept++] = entry;
        else
            free_entry(entry);
    }
    gather->entry_count = kept;
}

/* Without the lock: NVML may take its time. */
static size_t ask_gpus(struct gpus *gpus, struct top_gpu *ret_gpus)
{
    uint32_t count = gpus ? gpus_count(gpus) : 0;

    for (uint32_t i = 0; i < count && i < REGION_GPUS_MAX; i++) {
        const struct gpus_card *card = gpus_card(gpus, i);
        uint64_t stamp;
        uint32_t percent;

        ret_gpus[i] = (struct top_gpu){.nvml_index = card->nvml_index,
                                       .card_bytes = card->memory_bytes,
                                       .busy_percent = MESSAGE_UNKNOWN};
        (void)str_format(ret_gpus[i].uuid, sizeof(ret_gpus[i].uuid), "%s", card->uuid);
        (void)str_format(ret_gpus[i].model, sizeof(ret_gpus[i].model), "%s", gpus_name(gpus, i));
        if (gpus_utilisation(gpus, i, &percent, &stamp) == 0)
            ret_gpus[i].busy_percent = percent;
    }
    return count < REGION_GPUS_MAX ? count : REGION_GPUS_MAX;
}

/* What this thread keeps between rounds. */
struct lister {
    struct listing listing;
    struct top_gpu asked[REGION_GPUS_MAX];
    struct gpus *gpus; /* NULL: none answers */
    bool is_open;
};

/* With the lock, which it gives up meanwhile. */
static void list(struct top_gather *gather, struct lister *lister)
{
    struct err err = {0};
    size_t gpu_count;
    int rc;

    gather->wants_list = false;
    gather->is_listing = true;
    pthread_mutex_unlock(&gather->lock);
    lister->listing.count = 0;
    rc = listing_fill(&lister->listing, &gather->runtime, &err);
    pthread_mutex_lock(&gather->lock);
    gather->list_err = err;
    if (!rc)
        take_listing(gather, &lister->listing);
    pthread_cond_broadcast(&gather->work);
    pthread_mutex_unlock(&gather->lock);
    if (!lister->is_open && gpus_open(&lister->gpus, NULL) < 0)
        lister->gpus = NULL; /* the tenants' cards are shown */
    lister->is_open = true;
    gpu_count = ask_gpus(lister->gpus, lister->asked);
    pthread_mutex_lock(&gather->lock);
    memcpy(gather->gpus, lister->asked, gpu_count * sizeof(gather->gpus[0]));
    gather->gpu_count = gpu_count;
    gather->is_listing = false;
    announce(gather);
}

static void *run_lister(void *argument)
{
    struct top_gather *gather = argument;
    struct lister *lister = calloc(1, sizeof(*lister));

    pthread_mutex_lock(&gather->lock);
    while (lister && !gather->is_ending) {
        if (gather->wants_list)
            list(gather, lister);
        else
            pthread_cond_wait(&gather->work, &gather->lock);
    }
    if (!lister)
        (void)err_set(&gather->list_err, ENOMEM, "list the tenants");
    drop_reference(gather);
    if (lister && lister->gpus)
        gpus_close(lister->gpus);
    free(lister);
    return NULL;
}

/* --- asking --- */

static enum outcome judge(int rc)
{
    switch (rc) {
    case 0:
        return OUTCOME_ANSWERED;
    case -ENOENT:
    case -ECONNREFUSED:
    case -ECONNRESET:
        return OUTCOME_GONE;
    default: /* it is hung, or of another version: it is there, and that is all we know */
        return OUTCOME_SILENT;
    }
}

/* With the lock, which it gives up meanwhile. */
static void ask(struct top_gather *gather, struct entry *entry)
{
    struct listing_tenant tenant;
    struct err err;
    int rc;

    entry->phase = PHASE_ASKED; /* nobody else touches it now */
    pthread_mutex_unlock(&gather->lock);
    rc = listing_ask(&tenant, &gather->runtime, entry->name, &err);
    pthread_mutex_lock(&gather->lock);
    if (entry->outcome == OUTCOME_ANSWERED)
        listing_tenant_fini(&entry->tenant);
    entry->outcome = judge(rc);
    if (!rc)
        entry->tenant = tenant;
    entry->is_slow = rc == -ETIMEDOUT || rc == -EAGAIN;
    entry->phase = PHASE_IDLE;
    announce(gather);
}

/* With the lock. */
static struct entry *find_waiting(struct top_gather *gather, bool is_slow)
{
    for (size_t i = 0; i < gather->entry_count; i++)
        if (gather->entries[i]->phase == PHASE_WAITING && gather->entries[i]->is_slow == is_slow)
            return gather->entries[i];
    return NULL;
}

static void run_asker(struct top_gather *gather, bool is_slow)
{
    pthread_mutex_lock(&gather->lock);
    while (!gather->is_ending) {
        struct entry *entry = find_waiting(gather, is_slow);

        if (entry)
            ask(gather, entry);
        else
            pthread_cond_wait(&gather->work, &gather->lock);
    }
    drop_reference(gather);
}

static void *run_fast_asker(void *gather)
{
    run_asker(gather, false);
    return NULL;
}

static void *run_slow_asker(void *gather)
{
    run_asker(gather, true);
    return NULL;
}

/* --- sending --- */

static void *run_sender(void *argument)
{
    struct top_gather *gather = argument;

    pthread_mutex_lock(&gather->lock);
    while (!gather->is_ending) {
        struct err err = {0};
        int rc;

        if (!gather->wants_send) {
            pthread_cond_wait(&gather->work, &gather->lock);
            continue;
        }
        gather->wants_send = false;
        gather->is_sending = true; /* what is to be sent is not changed meanwhile */
        pthread_mutex_unlock(&gather->lock);
        rc = client_set(&gather->runtime, gather->send_tenant, &gather->send_set, &err);
        pthread_mutex_lock(&gather->lock);
        gather->send_rc = rc;
        gather->send_err = err;
        gather->is_sending = false;
        gather->has_answer = true;
        notify(gather);
    }
    drop_reference(gather);
    return NULL;
}

int top_gather_send(struct top_gather *gather, const char *tenant, const struct message_set *set)
{
    int rc = -EBUSY;

    pthread_mutex_lock(&gather->lock);
    if (!gather->wants_send && !gather->is_sending && !gather->has_answer) {
        (void)str_format(gather->send_tenant, sizeof(gather->send_tenant), "%s", tenant);
        gather->send_set = *set;
        gather->wants_send = true;
        pthread_cond_broadcast(&gather->work);
        rc = 0;
    }
    pthread_mutex_unlock(&gather->lock);
    return rc;
}

bool top_gather_answer(struct top_gather *gather, int *ret_rc, struct err *ret_err)
{
    bool has_answer;

    pthread_mutex_lock(&gather->lock);
    has_answer = gather->has_answer;
    if (has_answer) {
        *ret_rc = gather->send_rc;
        *ret_err = gather->send_err;
        gather->has_answer = false;
    }
    pthread_mutex_unlock(&gather->lock);
    return has_answer;
}

/* --- the drawing thread's side --- */

static int start_threads(struct top_gather *gather, struct err *err)
{
    static void *(*const runs[WORK_KINDS])(void *) = {[WORK_LIST] = run_lister,
                                                      [WORK_SEND] = run_sender,
                                                      [WORK_ASK_FAST] = run_fast_asker,
                                                      [WORK_ASK_SLOW] = run_slow_asker};

    for (int kind = 0; kind < WORK_KINDS; kind++)
        for (int i = 0; i < thread_counts[kind]; i++) {
            pthread_t thread;
            int rc;

            pthread_mutex_lock(&gather->lock);
            gather->references++;
            pthread_mutex_unlock(&gather->lock);
            rc = pthread_create(&thread, NULL, runs[kind], gather);
            if (rc) {
                pthread_mutex_lock(&gather->lock);
                drop_reference(gather);
                return err_set(err, rc, "start a thread");
            }
            (void)pthread_detach(thread); /* it is ours and runs: this cannot fail */
        }
    return 0;
}

int top_gather_new(struct top_gather **ret_gather, const struct runtime *runtime, struct err *err)
{
    struct top_gather *gather = calloc(1, sizeof(*gather));
    int rc;

    if (!gather)
        return err_set(err, ENOMEM, "ask the tenants");
    gather->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (gather->event_fd < 0) {
        free(gather);
        return err_set(err, errno, "make an eventfd");
    }
    gather->runtime = *runtime;
    gather->references = 1;
    gather->is_announced = true;
    pthread_mutex_init(&gather->lock, NULL);
    pthread_cond_init(&gather->work, NULL);
    rc = start_threads(gather, err);
    if (rc < 0) {
        top_gather_free(gather);
        return rc;
    }
    *ret_gather = gather;
    return 0;
}

void top_gather_free(struct top_gather *gather)
{
    if (!gather)
        return;
    pthread_mutex_lock(&gather->lock);
    gather->is_ending = true;
    pthread_cond_broadcast(&gather->work);
    drop_reference(gather);
}

int top_gather_fd(const struct top_gather *gather)
{
    return gather->event_fd;
}

void top_gather_refresh(struct top_gather *gather)
{
    pthread_mutex_lock(&gather->lock);
    gather->wants_list = true;
    gather->is_announced = false;
    pthread_cond_broadcast(&gather->work);
    pthread_mutex_unlock(&gather->lock);
}

/* With the lock. */
static int fill_model(const struct top_gather *gather, struct top_model *model, struct err *err)
{
    int rc = 0;

    top_model_begin(model);
    for (size_t i = 0; i < gather->gpu_count; i++)
        top_model_put_gpu(model, &gather->gpus[i]);
    for (size_t i = 0; !rc && i < gather->entry_count; i++) {
        const struct entry *entry = gather->entries[i];

        if (entry->is_listed && entry->outcome == OUTCOME_ANSWERED)
            rc = top_model_put(model, &entry->tenant);
        else if (entry->is_listed && entry->outcome == OUTCOME_SILENT)
            rc = top_model_put_silent(model, entry->name);
    }
    top_model_end(model);
    return rc < 0 ? err_set(err, -rc, "take in what tenants say") : 1;
}

int top_gather_take(struct top_gather *gather, struct top_model *model, struct err *err)
{
    uint64_t count;
    int rc = 0;

    /* It was readable; where it is not, there is nothing new. */
    if (read(gather->event_fd, &count, sizeof(count)) < 0)
        return 0;
    pthread_mutex_lock(&gather->lock);
    if (gather->list_err.code)
        rc = err_say(err, gather->list_err.code, "%s", gather->list_err.text);
    else if (gather->is_announced)
        rc = fill_model(gather, model, err);
    pthread_mutex_unlock(&gather->lock);
    return rc;
}
