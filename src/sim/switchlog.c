#include "sim/switchlog.h"

#include "abi/rm.h"

#define TIME_RESOLUTION_NS 32
#define NO_MIG             255

void switchlog_init(struct switchlog *records)
{
    list_init(&records->readers);
    records->total = 0;
    records->pending_count = 0;
}

bool switchlog_has_readers(const struct switchlog *records)
{
    return !list_is_empty(&records->readers);
}

void switchlog_add(struct switchlog *records, bool is_start, const struct gpu_identity *identity,
                   uint64_t time_ns)
{
    /* The hardware's log is off while nobody reads it. */
    if (!switchlog_has_readers(records)) {
        records->total++;
        return;
    }
    if (records->pending_count == SWITCHLOG_PENDING_MAX)
        switchlog_push(records);
    records->pending[records->pending_count++] = (struct switchlog_entry){
        .identity = *identity,
        .is_start = is_start,
        .time_ns = time_ns / TIME_RESOLUTION_NS * TIME_RESOLUTION_NS,
    };
    records->total++;
}

void switchlog_bind(struct switchlog *records, struct switchlog_reader *reader)
{
    switchlog_unbind(reader);
    if (!switchlog_has_readers(records))
        records->pending_count = 0;
    reader->records = records;
    reader->bound_at = records->total;
    list_append(&records->readers, &reader->node);
}

void switchlog_unbind(struct switchlog_reader *reader)
{
    if (reader->records)
        list_remove(&reader->node);
    reader->records = NULL;
}

static void write_entry(struct switchlog_reader *reader, const struct switchlog_entry *entry,
                        uint64_t number)
{
    bool is_visible = reader->is_privileged || reader->uid == entry->identity.uid;
    uint32_t next = (reader->put + 1) % reader->capacity;
    struct rm_switch_record record = {
        .type = RM_RECORD_TYPE_SWITCH,
        .tag = entry->is_start ? RM_RECORD_START : RM_RECORD_END,
        .sequence = (uint16_t)number,
        .context = is_visible ? entry->identity.context : 0,
        .pid = is_visible ? entry->identity.pid : 0,
        .mig_gpu_instance = NO_MIG,
        .mig_compute_instance = NO_MIG,
        .time_ns = entry->time_ns,
    };

    if (!is_visible && !reader->is_all_users)
        return;
    if (!reader->is_keep_newest && next == reader->header->get % reader->capacity) {
        reader->dropped++;
        return;
    }
    reader->ring[reader->put] = record;
    reader->put = next;
    reader->count++;
}

static void push_to(const struct switchlog *records, struct switchlog_reader *reader)
{
    uint64_t first = records->total - records->pending_count;

    if (!reader->is_enabled || !reader->header)
        return;
    for (uint32_t i = 0; i < records->pending_count; i++) {
        if (first + i >= reader->bound_at)
            write_entry(reader, &records->pending[i], first + i);
    }
    reader->header->record_count = reader->count;
    reader->header->dropped_count = reader->dropped;
    /* The records before the word that says how far they go; readers load it first. */
    __atomic_store_n(&reader->header->put, reader->put, __ATOMIC_RELEASE);
}

void switchlog_push(struct switchlog *records)
{
    LIST_EACH(node, &records->readers)
    push_to(records, CONTAINER_OF(node, struct switchlog_reader, node));
    records->pending_count = 0;
}
