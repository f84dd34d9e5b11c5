/*
 * The protocol. `total` is one word for each GPU slot: pages, and the stamp (intent, sequence) of
 * the change that wrote it last. A row has several intents; a thread claims one for one change:
 *
 *   IDLE     nothing under way; what the intent stands for is used_pages
 *   PENDING  begin():  a change of `slot` is announced; used_pages[slot] becomes after_pages. It
 *                      has happened if the slot's total carries the intent's stamp, else not
 *   DONE     settle(): it has happened, though another stamp may be in the total by now
 *   IDLE     finish(): used_pages is up to date, or the change was given up
 *
 * 1. A change happens at the compare-and-swap of the total in apply(), and at no other instant.
 * 2. Whoever replaces a stamp in a total marks its intent DONE first if that one is PENDING. So of
 *    a PENDING intent whose stamp is not in the total, nothing has happened yet; where its process
 *    is dead, nothing will.
 * 3. A sequence goes up with each change and is kept when a row is used anew. A total never carries
 *    the stamp of a change before it is made: begin() skips a sequence whose low bits are still
 *    there.
 * 4. The total of a slot is at every instant the sum, over all intents of all rows, of after_pages
 *    where a change of that slot has happened and of used_pages elsewhere. used_pages of one intent
 *    may be negative (memory is freed by another thread than the one that took it): sums count.
 * 5. A reaper changes a dead row by the same protocol, as its intent 0. A row whose sums are given
 *    back is marked empty before its words are cleared, so that a second reaper does not count
 *    them.
 *
 * 6. What an intent is written with is released, not ordered: an ordered store waits for its cache
 *    line, and four of them were most of a change. They are seen in the order of the program, all
 *    of begin()'s before the swap of apply(), which is ordered; until they are seen the intent is
 *    IDLE for others, as it is while its thread is about to begin, or PENDING or DONE, as while it
 *    is about to end. Whoever reads a stamp has it from a swap that came after its PENDING.
 *
 * What 23 bits of sequence in a stamp cannot tell apart: a thread that sleeps between settle() and
 * the swap of apply() while its total comes back to the very same pages, intent and sequence, 2^23
 * changes of that one intent later.
 */
#include "ipc/ledger.h"

#include "utils/atomics.h"
#include "utils/clock.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#define LEDGER_MAGIC   0x6c706776u /* "vgpl" */
#define LEDGER_VERSION 1u

#define PAGES_BITS 30
#define PAGES_MASK ((UINT64_C(1) << PAGES_BITS) - 1)
#define ID_BITS    11
#define ID_MASK    ((UINT64_C(1) << ID_BITS) - 1)

#define STATE_MASK     UINT64_C(3)
#define SLOT_SHIFT     2
#define SLOT_MASK      UINT64_C(15)
#define SEQUENCE_SHIFT 6

#define APPLY_TRIES 100000 /* honest neighbours make one of a few dozen succeed */
#define READ_TRIES  100
#define CLAIM_NS    NS_PER_SEC

enum intent_state { IDLE, PENDING, DONE };

struct ledger_intent {
    _Atomic uint64_t word; /* state, slot, sequence; ordered */
    _Atomic uint64_t after_pages;
    _Atomic uint64_t used_pages[LEDGER_SLOTS_MAX]; /* two's complement; written by the claimer */
};

struct ledger_entry {
    _Atomic uint64_t stamp; /* 0: free; written by the supervisor */
    _Atomic uint64_t start_time;
    _Atomic int32_t pid;
    _Atomic uint32_t is_empty; /* being cleared (5); written by the supervisor */
    _Atomic uint32_t claimed;  /* a bit for each intent that a thread has */
    _Atomic uint32_t used;     /* a bit for each intent that a thread ever had */
    uint32_t reserved[8];
    struct ledger_intent intents[LEDGER_THREADS_MAX];
};

struct ledger_total {
    _Atomic uint64_t word; /* pages, stamp; ordered */
    uint64_t reserved[7];  /* a cache line each */
};

struct ledger {
    uint32_t magic, version, length, reserved; /* constant */
    _Atomic uint64_t last_stamp;
    uint64_t reserved_words[5];
    struct ledger_total totals[LEDGER_SLOTS_MAX];
    struct ledger_entry rows[LEDGER_ROWS_MAX];
};

_Static_assert(LEDGER_ROWS_MAX *LEDGER_THREADS_MAX == 1u << ID_BITS, "every intent has a number");
_Static_assert(LEDGER_SLOTS_MAX == SLOT_MASK + 1, "every slot fits an intent's word");
_Static_assert(sizeof(struct ledger_entry) == 64 + 8 * 144, "ledger layout");
_Static_assert(sizeof(struct ledger) == 64 + 16 * 64 + 256 * 1216, "ledger layout");

/* One change of one slot by one intent. */
struct change {
    struct ledger *ledger;
    uint32_t id, slot;
    uint64_t sequence;
    uint64_t pages;
    uint64_t limit_pages; /* of the total, where pages are taken */
    enum { TAKE, GIVE, GIVE_WHAT_IS_THERE } kind;
};

size_t ledger_size(void)
{
    return sizeof(struct ledger);
}

struct ledger *ledger_init(void *memory)
{
    struct ledger *ledger = memory;

    ledger->version = LEDGER_VERSION;
    ledger->length = sizeof(*ledger);
    ledger->magic = LEDGER_MAGIC;
    return ledger;
}

static int check_header(const struct ledger *ledger, struct err *err)
{
    if (ledger->magic != LEDGER_MAGIC)
        return err_say(err, EPROTO, "this is not a ledger (magic 0x%x)", ledger->magic);
    if (ledger->version != LEDGER_VERSION)
        return err_say(err, EPROTO, "ledger of version %u instead of %u", ledger->version,
                       LEDGER_VERSION);
    if (ledger->length != sizeof(*ledger))
        return err_say(err, EPROTO, "ledger of %u instead of %zu bytes", ledger->length,
                       sizeof(*ledger));
    return 0;
}

int ledger_open(struct ledger **ret_ledger, void *memory, struct err *err)
{
    int rc = check_header(memory, err);

    if (rc == 0)
        *ret_ledger = memory;
    return rc;
}

static struct ledger_intent *intent_at(struct ledger *ledger, uint32_t id)
{
    return &ledger->rows[id / LEDGER_THREADS_MAX].intents[id % LEDGER_THREADS_MAX];
}

static uint64_t make_word(enum intent_state state, uint32_t slot, uint64_t sequence)
{
    return sequence << SEQUENCE_SHIFT | (uint64_t)slot << SLOT_SHIFT | (uint64_t)state;
}

static enum intent_state state_of(uint64_t word)
{
    /* The fourth value is garbage and stands for nothing under way. */
    return (word & STATE_MASK) == 3 ? IDLE : (enum intent_state)(word & STATE_MASK);
}

static uint32_t slot_of(uint64_t word)
{
    return (uint32_t)(word >> SLOT_SHIFT & SLOT_MASK);
}

static uint64_t make_stamp(uint32_t id, uint64_t sequence)
{
    return sequence << (PAGES_BITS + ID_BITS) | (uint64_t)id << PAGES_BITS;
}

/* Whether a total's word was written by the change that an intent's word announces. */
static bool is_stamped(uint64_t total, uint32_t id, uint64_t word)
{
    return (total & ~PAGES_MASK) == make_stamp(id, word >> SEQUENCE_SHIFT);
}

static HOT void begin(struct change *change, uint64_t difference)
{
    struct ledger_intent *intent = intent_at(change->ledger, change->id);
    uint64_t total = load_ordered(&change->ledger->totals[change->slot].word);
    uint64_t sequence = (load_ordered(&intent->word) >> SEQUENCE_SHIFT) + 1;

    if ((total & ~PAGES_MASK) == make_stamp(change->id, sequence)) /* (3) */
        sequence++;
    change->sequence = sequence;
    /* Pair with the loads of read_intent() and settle(); (6). */
    store_release(&intent->after_pages,
                  load_ordered(&intent->used_pages[change->slot]) + difference);
    store_release(&intent->word, make_word(PENDING, change->slot, sequence));
}

/* Marks the change that wrote `total`; false where another one has been made meanwhile (2). */
static HOT bool settle(struct ledger *ledger, uint32_t slot, uint64_t total)
{
    uint32_t id = (uint32_t)(total >> PAGES_BITS & ID_MASK);
    struct ledger_intent *intent = intent_at(ledger, id);
    uint64_t word = load_ordered(&intent->word);

    if (state_of(word) != PENDING || slot_of(word) != slot || !is_stamped(total, id, word))
        return true;
    /* The word may be of a later change of the same low bits, which has not happened yet. */
    if (load_ordered(&ledger->totals[slot].word) != total)
        return false;
    /* Where this fails the owner has finished, or somebody else was faster. */
    (void)cas_ordered(&intent->word, &word, (word & ~STATE_MASK) | DONE);
    return true;
}

/* The pages of the total after the change, or a negative errno. */
static int64_t count_after(const struct change *change, uint64_t before)
{
    if (change->kind == TAKE) {
        if (change->limit_pages < before || change->pages > change->limit_pages - before)
            return -ENOMEM;
        return (int64_t)(before + change->pages);
    }
    if (change->pages <= before)
        return (int64_t)(before - change->pages);
    return change->kind == GIVE ? -ERANGE : 0;
}

static HOT int apply(const struct change *change)
{
    _Atomic uint64_t *total = &change->ledger->totals[change->slot].word;

    for (int i = 0; i < APPLY_TRIES; i++) {
        uint64_t before = load_ordered(total);
        int64_t after = count_after(change, before & PAGES_MASK);

        if (after < 0)
            return (int)after;
        if (!settle(change->ledger, change->slot, before))
            continue;
        if (cas_ordered(total, &before, (uint64_t)after | make_stamp(change->id, change->sequence)))
            return 0;
    }
    return -EBUSY;
}

static HOT void finish(const struct change *change, bool has_happened)
{
    struct ledger_intent *intent = intent_at(change->ledger, change->id);

    /* A process killed between the two stores has stored what its intent says anyway. */
    if (has_happened)
        store_release(&intent->used_pages[change->slot], load_ordered(&intent->after_pages));
    store_release(&intent->word, make_word(IDLE, change->slot, change->sequence)); /* (6) */
}

static HOT int make_change(struct change *change)
{
    int rc;

    begin(change, change->kind == TAKE ? change->pages : 0 - change->pages);
    rc = apply(change);
    finish(change, rc == 0);
    return rc;
}

/* Before the first change of it: whoever asks what the row holds then looks at it as well. */
static inline void note_used(struct ledger_entry *entry, uint32_t intent)
{
    if (!LIKELY(load_ordered(&entry->used) & 1u << intent))
        (void)or_ordered(&entry->used, 1u << intent); /* what it was says nothing */
}

static HOT int claim(struct ledger_entry *entry, uint32_t *ret_intent)
{
    uint32_t claimed = load_ordered(&entry->claimed);
    uint64_t give_up_ns = 0;

    for (;;) {
        uint32_t wanted = 0;

        while (wanted < LEDGER_THREADS_MAX && claimed & 1u << wanted)
            wanted++;
        if (wanted == LEDGER_THREADS_MAX) {
            uint64_t now_ns = clock_now_ns();

            if (give_up_ns && now_ns > give_up_ns)
                return -EBUSY;
            if (!give_up_ns)
                give_up_ns = now_ns + CLAIM_NS;
            (void)sched_yield(); /* never fails on Linux */
            claimed = load_ordered(&entry->claimed);
        } else if (cas_ordered(&entry->claimed, &claimed, claimed | 1u << wanted)) {
            note_used(entry, wanted);
            *ret_intent = wanted;
            return 0;
        }
    }
}

static HOT struct ledger_entry *find_entry(struct ledger *ledger, const struct ledger_row *row)
{
    struct ledger_entry *entry;

    if (row->index >= LEDGER_ROWS_MAX || !row->stamp)
        return NULL;
    entry = &ledger->rows[row->index];
    return load_ordered(&entry->stamp) == row->stamp ? entry : NULL;
}

static HOT int change_row(const struct ledger_row *row, struct change *change)
{
    struct ledger_entry *entry = find_entry(change->ledger, row);
    uint32_t intent = 0;
    int rc;

    if (!entry)
        return -ESTALE;
    rc = claim(entry, &intent);
    if (rc < 0)
        return rc;
    change->id = row->index * LEDGER_THREADS_MAX + intent;
    rc = make_change(change);
    (void)and_ordered(&entry->claimed, ~(1u << intent)); /* what it was says nothing */
    return rc;
}

HOT int ledger_reserve(struct ledger *ledger, const struct ledger_row *row, uint32_t slot,
                       uint64_t bytes, uint64_t limit_bytes)
{
    struct change change = {.ledger = ledger,
                            .slot = slot,
                            .pages = bytes / LEDGER_PAGE_BYTES,
                            .limit_pages = limit_bytes / LEDGER_PAGE_BYTES,
                            .kind = TAKE};

    if (slot >= LEDGER_SLOTS_MAX || bytes % LEDGER_PAGE_BYTES)
        return -EINVAL;
    if (change.limit_pages > PAGES_MASK)
        change.limit_pages = PAGES_MASK;
    return change_row(row, &change);
}

HOT void ledger_prefetch(struct ledger *ledger, const struct ledger_row *row, uint32_t slot)
{
    const struct ledger_entry *entry = &ledger->rows[row->index % LEDGER_ROWS_MAX];

    __builtin_prefetch(&ledger->totals[slot % LEDGER_SLOTS_MAX], 1);
    __builtin_prefetch(entry, 1);
    __builtin_prefetch(&entry->intents[0], 1);
}

/* What one intent stands for in a slot (4); false where it changed under the look. */
static bool read_intent(struct ledger *ledger, uint32_t id, uint32_t slot, uint64_t *sum)
{
    struct ledger_intent *intent = intent_at(ledger, id);
    uint64_t word = load_ordered(&intent->word);
    uint64_t used = load_ordered(&intent->used_pages[slot]);
    uint64_t after = load_ordered(&intent->after_pages);
    uint64_t total = load_ordered(&ledger->totals[slot].word);
    bool has_happened =
        state_of(word) == DONE || (state_of(word) == PENDING && is_stamped(total, id, word));

    *sum += has_happened && slot_of(word) == slot ? after : used;
    return load_ordered(&intent->word) == word;
}

static bool try_read_row(struct ledger *ledger, uint32_t index, uint32_t slot, uint64_t *ret_pages)
{
    struct ledger_entry *entry = &ledger->rows[index];
    uint64_t words[LEDGER_THREADS_MAX];
    uint64_t stamp = load_ordered(&entry->stamp);
    uint64_t sum = 0;
    bool is_still = true;

    *ret_pages = 0;
    if (!stamp || load_ordered(&entry->is_empty))
        return true;
    for (uint32_t i = 0; i < LEDGER_THREADS_MAX; i++)
        words[i] = load_ordered(&entry->intents[i].word);
    for (uint32_t i = 0; i < LEDGER_THREADS_MAX; i++)
        is_still &= read_intent(ledger, index * LEDGER_THREADS_MAX + i, slot, &sum);
    for (uint32_t i = 0; i < LEDGER_THREADS_MAX; i++)
        is_still &= load_ordered(&entry->intents[i].word) == words[i];
    *ret_pages = sum;
    return is_still && load_ordered(&entry->stamp) == stamp && !load_ordered(&entry->is_empty);
}

/* Returns false where the row never came to rest; the figure is then a recent one. */
static bool read_row(struct ledger *ledger, uint32_t index, uint32_t slot, uint64_t *ret_pages)
{
    bool is_still = false;

    for (int i = 0; i < READ_TRIES && !is_still; i++)
        is_still = try_read_row(ledger, index, slot, ret_pages);
    /* Negative or beyond the total's bits: garbage, or a look in the middle. */
    if ((int64_t)*ret_pages < 0)
        *ret_pages = 0;
    if (*ret_pages > PAGES_MASK)
        *ret_pages = PAGES_MASK;
    return is_still;
}

/*
 * Whether the row holds that much. What is seen of intents that rest is enough of an answer where
 * it says so, and a program that makes one call at a time has used one of them, which is one cache
 * line; where it does not say so, a change may be under way.
 */
static bool holds(struct ledger *ledger, const struct ledger_row *row, const struct change *change)
{
    const struct ledger_entry *entry = &ledger->rows[row->index];
    uint32_t used = load_ordered(&entry->used);
    uint64_t held = 0;

    for (uint32_t i = 0; i < LEDGER_THREADS_MAX && used >> i; i++)
        held += load_ordered(&entry->intents[i].used_pages[change->slot]);
    if (LIKELY((int64_t)held >= (int64_t)change->pages))
        return true;
    /* Where threads never let the row rest, the caller is believed: the total still bounds it. */
    return !read_row(ledger, row->index, change->slot, &held) || held >= change->pages;
}

HOT int ledger_release(struct ledger *ledger, const struct ledger_row *row, uint32_t slot,
                       uint64_t bytes)
{
    struct change change = {
        .ledger = ledger, .slot = slot, .pages = bytes / LEDGER_PAGE_BYTES, .kind = GIVE};

    if (slot >= LEDGER_SLOTS_MAX || bytes % LEDGER_PAGE_BYTES)
        return -EINVAL;
    if (!find_entry(ledger, row))
        return -ESTALE;
    if (!holds(ledger, row, &change))
        return -ERANGE;
    return change_row(row, &change);
}

HOT uint64_t ledger_used(struct ledger *ledger, uint32_t slot)
{
    if (slot >= LEDGER_SLOTS_MAX)
        return 0;
    return (load_ordered(&ledger->totals[slot].word) & PAGES_MASK) * LEDGER_PAGE_BYTES;
}

uint64_t ledger_row_used(struct ledger *ledger, uint32_t index, uint32_t slot)
{
    uint64_t pages = 0;

    if (index >= LEDGER_ROWS_MAX || slot >= LEDGER_SLOTS_MAX)
        return 0;
    (void)read_row(ledger, index, slot, &pages); /* a recent figure will do */
    return pages * LEDGER_PAGE_BYTES;
}

int ledger_attach(struct ledger *ledger, pid_t pid, uint64_t start_time, struct ledger_row *ret_row)
{
    for (uint32_t i = 0; i < LEDGER_ROWS_MAX; i++) {
        struct ledger_entry *entry = &ledger->rows[i];
        uint64_t stamp;

        if (load_ordered(&entry->stamp))
            continue;
        stamp = add_ordered(&ledger->last_stamp, 1) + 1;
        if (!stamp)
            stamp = 1;
        store_relaxed(&entry->pid, (int32_t)pid);
        store_relaxed(&entry->start_time, start_time);
        store_relaxed(&entry->is_empty, 0);
        store_ordered(&entry->stamp, stamp); /* a supervisor killed before this leaves it free */
        *ret_row = (struct ledger_row){.index = i, .stamp = stamp};
        return 0;
    }
    return -EAGAIN;
}

bool ledger_get_owner(struct ledger *ledger, uint32_t index, struct ledger_owner *ret_owner)
{
    struct ledger_entry *entry = &ledger->rows[index % LEDGER_ROWS_MAX];
    uint64_t stamp = load_ordered(&entry->stamp);

    if (index >= LEDGER_ROWS_MAX || !stamp)
        return false;
    *ret_owner = (struct ledger_owner){.row = {.index = index, .stamp = stamp},
                                       .pid = load_relaxed(&entry->pid),
                                       .start_time = load_relaxed(&entry->start_time)};
    return true;
}

/* Brings an intent of a dead process to rest, one way or the other. */
static void rest_intent(struct ledger *ledger, uint32_t id)
{
    struct ledger_intent *intent = intent_at(ledger, id);
    uint64_t word = load_ordered(&intent->word);
    uint64_t total = load_ordered(&ledger->totals[slot_of(word)].word);
    struct change change = {
        .ledger = ledger, .id = id, .slot = slot_of(word), .sequence = word >> SEQUENCE_SHIFT};

    if (state_of(word) == IDLE)
        return;
    /*
     * Where the swap fails, somebody replaced the stamp after marking the intent: it is DONE (2).
     */
    if (state_of(word) == PENDING && !is_stamped(total, id, word) &&
        cas_ordered(&intent->word, &word, make_word(IDLE, change.slot, change.sequence)))
        return;
    finish(&change, true);
}

static int give_back(struct ledger *ledger, uint32_t index, uint32_t slot)
{
    struct ledger_entry *entry = &ledger->rows[index];
    struct change change = {.ledger = ledger,
                            .id = index * LEDGER_THREADS_MAX,
                            .slot = slot,
                            .kind = GIVE_WHAT_IS_THERE};

    for (uint32_t i = 0; i < LEDGER_THREADS_MAX; i++)
        change.pages += load_ordered(&entry->intents[i].used_pages[slot]);
    /* A negative sum is garbage: there is nothing to give. */
    return (int64_t)change.pages > 0 ? make_change(&change) : 0;
}

static void clear(struct ledger_entry *entry)
{
    for (uint32_t i = 0; i < LEDGER_THREADS_MAX; i++)
        for (uint32_t slot = 0; slot < LEDGER_SLOTS_MAX; slot++)
            store_relaxed(&entry->intents[i].used_pages[slot], 0);
    store_relaxed(&entry->claimed, 0);
    store_relaxed(&entry->used, 0);
    store_ordered(&entry->stamp, 0);
}

int ledger_reap(struct ledger *ledger, const struct ledger_row *row)
{
    struct ledger_entry *entry = find_entry(ledger, row);

    if (!entry)
        return -ESTALE;
    if (!load_ordered(&entry->is_empty)) {
        for (uint32_t i = 0; i < LEDGER_THREADS_MAX; i++)
            rest_intent(ledger, row->index * LEDGER_THREADS_MAX + i);
        for (uint32_t slot = 0; slot < LEDGER_SLOTS_MAX; slot++) {
            int rc = give_back(ledger, row->index, slot);

            if (rc < 0)
                return rc;
        }
        store_ordered(&entry->is_empty, 1); /* (5) */
    }
    clear(entry);
    return 0;
}

/* 1: the total is the rows' sum; 0: it is not; -EAGAIN: it changed under the look. */
static int check_slot(struct ledger *ledger, uint32_t slot)
{
    uint64_t total = load_ordered(&ledger->totals[slot].word);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < LEDGER_ROWS_MAX; i++) {
        uint64_t pages = 0;

        if (!try_read_row(ledger, i, slot, &pages))
            return -EAGAIN;
        sum += pages;
    }
    /* No change was made meanwhile (1), so all that was read belongs together. */
    if (load_ordered(&ledger->totals[slot].word) != total)
        return -EAGAIN;
    return sum == (total & PAGES_MASK);
}

int ledger_check(struct ledger *ledger, struct err *err)
{
    int rc = check_header(ledger, err);

    if (rc < 0)
        return rc;
    for (uint32_t slot = 0; slot < LEDGER_SLOTS_MAX; slot++) {
        rc = -EAGAIN;
        for (int i = 0; i < READ_TRIES && rc == -EAGAIN; i++)
            rc = check_slot(ledger, slot);
        if (rc == -EAGAIN)
            return err_say(err, EAGAIN, "the ledger changes too fast to be checked");
        if (!rc)
            return err_say(err, EPROTO, "the ledger's total of GPU slot %u is not its rows' sum",
                           slot);
    }
    return 0;
}
