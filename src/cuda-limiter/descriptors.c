#include "cuda-limiter/descriptors.h"

#include "utils/atomics.h"
#include "utils/attr.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK_FDS 1024u
#define CHUNKS    (DESCRIPTORS_MAX / CHUNK_FDS)

/*
 * Chunks appear once and stay; the first is always there, so that the way of a call to the driver
 * needs no pointer to it. All words are relaxed: they say what a number is and guard nothing else.
 */
static struct {
    _Atomic uint64_t first[CHUNK_FDS];
    _Atomic(_Atomic uint64_t *) others[CHUNKS]; /* by number, but for 0 */
    _Atomic uint64_t last_file_id;
} state;

static inline _Atomic uint64_t *get_chunk(unsigned int number)
{
    if (LIKELY(number == 0))
        return state.first;
    /* Pairs with the exchange in make_chunk(): the memory is there. */
    return load_acquire(&state.others[number]);
}

static _Atomic uint64_t *make_chunk(unsigned int number)
{
    _Atomic uint64_t *chunk = get_chunk(number), *none = NULL;
    void *memory;

    if (chunk)
        return chunk;
    memory = mmap(NULL, CHUNK_FDS * sizeof(*chunk), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    /* Ordered: whoever loads the pointer sees zeroes behind it. */
    if (cas_ordered(&state.others[number], &none, (_Atomic uint64_t *)memory))
        return memory;
    (void)munmap(memory, CHUNK_FDS * sizeof(*chunk)); /* another thread was first */
    return none;
}

HOT uint64_t descriptors_get(int fd)
{
    const _Atomic uint64_t *chunk;

    if (fd < 0 || (unsigned int)fd >= DESCRIPTORS_MAX)
        return 0;
    chunk = get_chunk((unsigned int)fd / CHUNK_FDS);
    return chunk ? load_relaxed(&chunk[(unsigned int)fd % CHUNK_FDS]) : 0;
}

uint64_t descriptors_set(int fd, uint64_t file_id)
{
    _Atomic uint64_t *chunk;

    if (fd < 0 || (unsigned int)fd >= DESCRIPTORS_MAX)
        return 0;
    chunk = file_id ? make_chunk((unsigned int)fd / CHUNK_FDS)
                    : get_chunk((unsigned int)fd / CHUNK_FDS);
    return chunk ? exchange_ordered(&chunk[(unsigned int)fd % CHUNK_FDS], file_id) : 0;
}

uint64_t descriptors_new_file(void)
{
    return add_relaxed(&state.last_file_id, 1) + 1;
}

int descriptors_find(uint64_t file_id)
{
    for (unsigned int number = 0; number < CHUNKS; number++) {
        const _Atomic uint64_t *chunk = get_chunk(number);

        for (unsigned int i = 0; chunk && i < CHUNK_FDS; i++)
            if (load_relaxed(&chunk[i]) == file_id)
                return (int)(number * CHUNK_FDS + i);
    }
    return -1;
}

int descriptors_next(unsigned int first, unsigned int last)
{
    for (unsigned int fd = first; fd <= last && fd < DESCRIPTORS_MAX; fd++) {
        if (!get_chunk(fd / CHUNK_FDS)) {
            fd |= CHUNK_FDS - 1;
            continue;
        }
        if (descriptors_get((int)fd))
            return (int)fd;
    }
    return -1;
}

uint64_t descriptors_identify(int fd)
{
    struct stat stat;

    /* By number: fstat() itself is newer than the oldest libc that we run on. */
    if (fd < 0 || syscall(SYS_fstat, fd, &stat) < 0)
        return 0;
    return ((uint64_t)stat.st_dev << 48) ^ (uint64_t)stat.st_ino;
}
