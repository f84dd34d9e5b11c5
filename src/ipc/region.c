#include "ipc/region.h"

#include "utils/atomics.h"

#include <errno.h>
#include <string.h>

#define READ_TRIES  1000
#define FACTS_WORDS (sizeof(struct region_facts) / sizeof(uint64_t))

const char *region_priority_word(uint32_t priority)
{
    static const char *const words[] = {
        [REGION_LOW] = "low", [REGION_NORMAL] = "normal", [REGION_HIGH] = "high"};

    return priority <= REGION_HIGH ? words[priority] : "unknown";
}

int region_check_control(const struct region_control *control, struct err *err)
{
    if (control->magic != REGION_MAGIC)
        return err_say(err, EPROTO, "this is not a region (magic 0x%x)", control->magic);
    if (control->version != REGION_VERSION)
        return err_say(err, EPROTO, "region of version %u instead of %u", control->version,
                       REGION_VERSION);
    if (control->length != sizeof(*control))
        return err_say(err, EPROTO, "region of %u instead of %zu bytes", control->length,
                       sizeof(*control));
    if (control->gpu_count > REGION_GPUS_MAX)
        return err_say(err, EPROTO, "region of %u GPUs", control->gpu_count);
    return 0;
}

bool region_read_facts(const struct region_gpu *gpu, struct region_facts *ret_facts)
{
    for (int i = 0; i < READ_TRIES; i++) {
        /* Pairs with the release of region_write_facts(): what follows was complete then. */
        uint32_t before = load_acquire(&gpu->sequence);
        uint64_t words[FACTS_WORDS];

        if (before & 1)
            continue;
        for (size_t word = 0; word < FACTS_WORDS; word++)
            words[word] = load_relaxed(&gpu->facts_words[word]);
        /* The copy is done before the sequence is looked at again. */
        atomic_thread_fence(memory_order_acquire);
        if (load_relaxed(&gpu->sequence) != before)
            continue;
        memcpy(ret_facts, words, sizeof(*ret_facts));
        return true;
    }
    return false;
}

void region_write_facts(struct region_gpu *gpu, const struct region_facts *facts)
{
    uint32_t sequence = load_relaxed(&gpu->sequence);
    uint64_t words[FACTS_WORDS];

    memcpy(words, facts, sizeof(words));
    store_relaxed(&gpu->sequence, sequence + 1);
    /* No reader sees a new word of the facts under the old sequence. */
    atomic_thread_fence(memory_order_release);
    for (size_t word = 0; word < FACTS_WORDS; word++)
        store_relaxed(&gpu->facts_words[word], words[word]);
    /* Pairs with the acquire of region_read_facts(). */
    store_release(&gpu->sequence, sequence + 2);
}

HOT int region_find_device(const struct region_control *control, uint32_t device_instance)
{
    uint32_t count = control->gpu_count < REGION_GPUS_MAX ? control->gpu_count : REGION_GPUS_MAX;

    for (uint32_t i = 0; i < count; i++)
        if (control->gpus[i].device_instance == device_instance)
            return (int)i;
    return -1;
}
