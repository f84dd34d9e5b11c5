#include "hypervisor/metric.h"

#include "hypervisor/metrics_own.h"
#include "hypervisor/snapshot.h"
#include "utils/attr.h"

#include <inttypes.h>

#define METRIC(name, type, unit, scope, also, value, help)                                         \
    static struct metric_number take_##name(const struct metric_subject *at UNUSED)                \
    {                                                                                              \
        return value;                                                                              \
    }
#include "macro/metrics.def"

static const struct metric metrics[] = {
#define METRIC(name, type, unit, scope, also, value, help)                                         \
    {#name,                                                                                        \
     unit,                                                                                         \
     help,                                                                                         \
     METRICS_##type,                                                                               \
     METRICS_SCOPE_##scope,                                                                        \
     METRICS_LABELS_OF_##scope | METRICS_ALSO_##also,                                              \
     take_##name},
#include "macro/metrics.def"
};

static struct metric_number scaled(uint64_t value, uint64_t times, unsigned int decimals)
{
    return (struct metric_number){.value = value, .times = times, .decimals = decimals};
}

struct metric_number metric_flag(bool is_so)
{
    return scaled(is_so, 1, 0);
}

struct metric_number metric_count(uint64_t value)
{
    return scaled(value, 1, 0);
}

struct metric_number metric_percent(uint64_t percent)
{
    return scaled(percent, 1, 2);
}

struct metric_number metric_milli_percent(uint64_t milli_percent)
{
    return scaled(milli_percent, 1, 5);
}

struct metric_number metric_cap(uint32_t milli_percent)
{
    return metric_milli_percent(milli_percent < 100000 ? milli_percent : SNAPSHOT_UNKNOWN);
}

struct metric_number metric_milli(uint64_t thousandths)
{
    return scaled(thousandths, 1, 3);
}

struct metric_number metric_micro(uint64_t millionths)
{
    return scaled(millionths, 1, 6);
}

struct metric_number metric_nano(uint64_t billionths)
{
    return scaled(billionths, 1, 9);
}

struct metric_number metric_kibi(uint64_t kibi)
{
    return scaled(kibi, 1024, 0);
}

struct metric_number metric_mega(uint64_t millions)
{
    return scaled(millions, 1000000, 0);
}

const struct metric *metric_table(size_t *ret_count)
{
    *ret_count = ARRAY_LENGTH(metrics);
    return metrics;
}

const char *metric_type_word(enum metrics_type type)
{
    static const char *const words[] = {
#define TYPE_WORD(type, word) #word,
        METRICS_TYPES(TYPE_WORD)};

    return words[type];
}

const char *metric_label_name(enum metrics_label label)
{
    static const char *const names[] = {
#define LABEL_NAME(label, name, words) #name,
        METRICS_LABELS(LABEL_NAME)};

    return names[label];
}

bool metric_is_known(struct metric_number number)
{
    return number.value != SNAPSHOT_UNKNOWN && number.value <= UINT64_MAX / number.times;
}

void metric_print(struct metric_number number, FILE *file)
{
    uint64_t value = number.value * number.times, unit = 1;

    for (unsigned int i = 0; i < number.decimals; i++)
        unit *= 10;
    fprintf(file, "%" PRIu64, value / unit);
    if (value % unit)
        fputc('.', file);
    for (uint64_t rest = value % unit; rest; rest %= unit) {
        unit /= 10;
        fprintf(file, "%" PRIu64, rest / unit);
    }
}
