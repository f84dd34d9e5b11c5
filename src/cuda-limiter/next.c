#include "cuda-limiter/next.h"

#include "cuda-limiter/hot.h"
#include "utils/atomics.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

/* Of a version that is not the default of its name. */
#define VERSION_HIDDEN 0x8000u

static const char *const names[] = {
#define LIBC(name, type, parameters) #name,
#include "macro/libc.def"
};

#define NAMES_COUNT ARRAY_LENGTH(names)

_Static_assert(sizeof(struct next) == NAMES_COUNT * sizeof(void *), "one pointer a name");

static struct {
    _Atomic int is_resolved;
    struct next next;
} state;

/* What a loaded object says of its dynamic symbols. */
struct symbols {
    const ElfW(Sym) * table;
    const char *strings;
    const uint32_t *gnu_hash;
    const uint32_t *hash;
    const ElfW(Half) * versions;
    uintptr_t base;
};

static uint32_t gnu_hash_of(const char *name)
{
    uint32_t hash = 5381;

    while (*name)
        hash = hash * 33 + (unsigned char)*name++;
    return hash;
}

static void *match(const struct symbols *symbols, uint32_t index, const char *name)
{
    const ElfW(Sym) *symbol = &symbols->table[index];
    unsigned int type = symbol->st_info & 0xf;

    if (symbol->st_shndx == SHN_UNDEF || !symbol->st_value || type != STT_FUNC)
        return NULL;
    if (symbols->versions && (symbols->versions[index] & VERSION_HIDDEN))
        return NULL;
    if (strcmp(symbols->strings + symbol->st_name, name) != 0)
        return NULL;
    return (void *)(symbols->base + symbol->st_value); /* NOLINT: an address out of an ELF table */
}

static void *find_by_gnu_hash(const struct symbols *symbols, const char *name)
{
    const uint32_t *header = symbols->gnu_hash;
    uint32_t bucket_count = header[0], first = header[1], bloom_words = header[2];
    const uint32_t *buckets = header + 4 + bloom_words * (sizeof(ElfW(Addr)) / sizeof(*header));
    const uint32_t *chains = buckets + bucket_count;
    uint32_t hash = gnu_hash_of(name), index;

    if (!bucket_count)
        return NULL;
    index = buckets[hash % bucket_count];
    if (index < first)
        return NULL;
    for (;; index++) {
        uint32_t chained = chains[index - first];
        void *found = (chained | 1) == (hash | 1) ? match(symbols, index, name) : NULL;

        if (found)
            return found;
        if (chained & 1)
            return NULL;
    }
}

/*
 * The older table says how many symbols there are; going through all of them is quick enough, once.
 */
static void *find_one_by_one(const struct symbols *symbols, const char *name)
{
    for (uint32_t i = 0; i < symbols->hash[1]; i++) {
        void *found = match(symbols, i, name);

        if (found)
            return found;
    }
    return NULL;
}

static void *find_in(const struct symbols *symbols, const char *name)
{
    if (!symbols->table || !symbols->strings)
        return NULL;
    if (symbols->gnu_hash)
        return find_by_gnu_hash(symbols, name);
    return symbols->hash ? find_one_by_one(symbols, name) : NULL;
}

/* glibc has made addresses of these, musl and the vdso leave them relative. */
static const void *address_of(uintptr_t base, uintptr_t value)
{
    return (const void *)(value < base ? base + value : value); /* NOLINT: see above */
}

static void read_dynamic(const struct dl_phdr_info *info, const ElfW(Dyn) * dynamic,
                         struct symbols *ret_symbols)
{
    uintptr_t base = info->dlpi_addr;

    *ret_symbols = (struct symbols){.base = base};
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        const void *address = address_of(base, dynamic->d_un.d_ptr);

        switch (dynamic->d_tag) {
        case DT_SYMTAB:
            ret_symbols->table = address;
            break;
        case DT_STRTAB:
            ret_symbols->strings = address;
            break;
        case DT_GNU_HASH:
            ret_symbols->gnu_hash = address;
            break;
        case DT_HASH:
            ret_symbols->hash = address;
            break;
        case DT_VERSYM:
            ret_symbols->versions = address;
            break;
        default:
            break;
        }
    }
}

/* A search over all objects: `found` prefers what comes after us. */
struct search {
    const char *const *names;
    void **found;
    size_t count;
    bool is_after_us;
};

static bool holds(const struct dl_phdr_info *info, uintptr_t address)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + part->p_vaddr;

        if (part->p_type == PT_LOAD && address >= start && address - start < part->p_memsz)
            return true;
    }
    return false;
}

static int visit(struct dl_phdr_info *info, size_t size, void *context)
{
    struct search *search = context;
    struct symbols symbols = {0};

    (void)size; /* nothing beyond the first fields is read */
    if (holds(info, (uintptr_t)&next_find)) {
        search->is_after_us = true;
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            read_dynamic(info,
                         address_of(info->dlpi_addr, info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
                         &symbols);
    for (size_t i = 0; i < search->count; i++)
        if (!search->found[i])
            search->found[i] = find_in(&symbols, search->names[i]);
    return 0;
}

static int visit_after_us(struct dl_phdr_info *info, size_t size, void *context)
{
    struct search *search = context;

    if (search->is_after_us || holds(info, (uintptr_t)&next_find))
        return visit(info, size, context);
    return 0;
}

static void find_all(const char *const *wanted, void **found, size_t count)
{
    struct search search = {.names = wanted, .found = found, .count = count};

    (void)dl_iterate_phdr(visit_after_us, &search); /* visitors return 0 */
    /* Loaded late (dlopen), we come after libc: whoever has it then. */
    (void)dl_iterate_phdr(visit, &search);
}

/* Apart, so that a later call does not clear the room for all that is found here. */
static COLD void resolve(void)
{
    void *found[NAMES_COUNT] = {0};

    find_all(names, found, NAMES_COUNT);
    /* Threads that come here at once store the same. */
    memcpy(&state.next, found, sizeof(state.next));
    /* Pairs with the acquire of next_get(): whoever sees it sees the pointers. */
    store_release(&state.is_resolved, 1);
    store_relaxed(&hot.ioctl, state.next.ioctl); /* a function's address and nothing behind it */
}

COLD hot_ioctl *next_resolve_ioctl(void)
{
    return next_get()->ioctl;
}

const struct next *next_get(void)
{
    /* Pairs with the release of resolve(). */
    if (!LIKELY(load_acquire(&state.is_resolved)))
        resolve();
    return &state.next;
}

void *next_find(const char *name)
{
    void *found = NULL;

    find_all(&name, &found, 1);
    return found;
}
