#include "hypervisor/metrics_writer.h"

#include "hypervisor/metrics_file.h"
#include "utils/atomics.h"
#include "utils/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct metrics_writer {
    struct metrics_file *file; /* the thread's alone */
    char *writing;             /* the thread's: room as large as that of `pending` */
    pthread_t thread;
    _Atomic uint64_t lost; /* relaxed: it guards nothing */
    pthread_mutex_t lock;  /* of all below */
    pthread_cond_t has_work;
    char *pending; /* lines that wait, METRICS_WRITER_PENDING_MAX bytes of room */
    size_t length;
    bool is_ending;
};

/* Locks and conditions fail for misuse only. */
static void lock(struct metrics_writer *writer)
{
    (void)pthread_mutex_lock(&writer->lock);
}

static void unlock(struct metrics_writer *writer)
{
    (void)pthread_mutex_unlock(&writer->lock);
}

/* Swaps the lines that wait for the room of those that are written; their length, 0 at the end. */
static size_t take(struct metrics_writer *writer)
{
    char *room = writer->writing;
    size_t length;

    lock(writer);
    while (!writer->length && !writer->is_ending)
        (void)pthread_cond_wait(&writer->has_work, &writer->lock);
    writer->writing = writer->pending;
    length = writer->length;
    writer->pending = room;
    writer->length = 0;
    unlock(writer);
    return length;
}

static void *run(void *argument)
{
    struct metrics_writer *writer = argument;

    for (size_t length = take(writer); length; length = take(writer))
        (void)add_relaxed(&writer->lost, metrics_file_write(writer->file, writer->writing, length,
                                                            clock_unix_ms()));
    return NULL;
}

static int start_thread(struct metrics_writer *writer)
{
    sigset_t all, before;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* fails for misuse only */
    rc = pthread_create(&writer->thread, NULL, run, writer);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

static void free_storage(struct metrics_writer *writer)
{
    (void)pthread_cond_destroy(&writer->has_work);
    (void)pthread_mutex_destroy(&writer->lock);
    metrics_file_free(writer->file);
    free(writer->pending);
    free(writer->writing);
    free(writer);
}

int metrics_writer_new(struct metrics_writer **ret_writer, struct metrics_file *file,
                       struct err *err)
{
    struct metrics_writer *writer = calloc(1, sizeof(*writer));
    int rc = -ENOMEM;

    if (!writer) {
        metrics_file_free(file);
        return err_set(err, ENOMEM, "start the writer of metrics");
    }
    writer->file = file;
    (void)pthread_mutex_init(&writer->lock, NULL); /* cannot fail without attributes */
    (void)pthread_cond_init(&writer->has_work, NULL);
    writer->pending = malloc(METRICS_WRITER_PENDING_MAX);
    writer->writing = malloc(METRICS_WRITER_PENDING_MAX);
    if (writer->pending && writer->writing)
        rc = start_thread(writer);
    if (rc < 0) {
        free_storage(writer);
        return err_set(err, -rc, "start the writer of metrics");
    }
    *ret_writer = writer;
    return 0;
}

void metrics_writer_free(struct metrics_writer *writer)
{
    if (!writer)
        return;
    lock(writer);
    writer->is_ending = true;
    (void)pthread_cond_signal(&writer->has_work);
    unlock(writer);
    (void)pthread_join(writer->thread, NULL); /* it is there and nobody else's */
    free_storage(writer);
}

void metrics_writer_add(struct metrics_writer *writer, const char *lines, size_t length)
{
    bool fits;

    lock(writer);
    fits = length <= METRICS_WRITER_PENDING_MAX - writer->length;
    if (fits) {
        memcpy(writer->pending + writer->length, lines, length);
        writer->length += length;
        (void)pthread_cond_signal(&writer->has_work);
    }
    unlock(writer);
    if (!fits)
        (void)add_relaxed(&writer->lost, metrics_file_count_lines(lines, length));
}

uint64_t metrics_writer_lost(const struct metrics_writer *writer)
{
    return load_relaxed(&writer->lost);
}
