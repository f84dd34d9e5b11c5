/*
 * generate_metrics - writes the list of the daemon's metrics out of macro/metrics.def while vgpu is
 * built.
 *
 *     generate_metrics FILE
 */
#include "macro/metrics.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *unit, *help;
    enum metrics_type type;
    enum metrics_scope scope;
    uint32_t labels;
} metrics[] = {
#define METRIC(name, type, unit, scope, also, value, help)                                         \
    {#name,                                                                                        \
     unit,                                                                                         \
     help,                                                                                         \
     METRICS_##type,                                                                               \
     METRICS_SCOPE_##scope,                                                                        \
     METRICS_LABELS_OF_##scope | METRICS_ALSO_##also},
#include "macro/metrics.def"
};

static const char *const type_words[] = {
#define TYPE_WORD(type, word) #word,
    METRICS_TYPES(TYPE_WORD)};

static const char *const scope_words[] = {
#define SCOPE_WORDS(scope, words) words,
    METRICS_SCOPES(SCOPE_WORDS)};

static const struct {
    const char *name, *words;
} labels[] = {
#define LABEL_ROW(label, name, words) {#name, words},
    METRICS_LABELS(LABEL_ROW)};

#define METRIC_COUNT (sizeof(metrics) / sizeof(metrics[0]))

static void print_row(FILE *file, size_t i)
{
    bool is_first = true;

    fprintf(file, "| `%s` | %s | %s | ", metrics[i].name, type_words[metrics[i].type],
            metrics[i].unit);
    for (size_t label = 0; label < METRICS_LABEL_END; label++)
        if (metrics[i].labels & (UINT32_C(1) << label)) {
            fprintf(file, "%s%s", is_first ? "" : ", ", labels[label].name);
            is_first = false;
        }
    fprintf(file, " | %s | %s |\n", scope_words[metrics[i].scope], metrics[i].help);
}

static int write_list(const char *path)
{
    FILE *file = fopen(path, "we");

    if (!file) {
        perror(path);
        return 1;
    }
    fputs(
        "# Metrics\n\n"
        "What the daemon answers to `GET /metrics`, in Prometheus' text format or, where a client\n"
        "asks for it, OpenMetrics. What is not known is absent. A counter begins at 0 with the\n"
        "daemon, a tenant's with its supervisor. In Prometheus' text format an info is a gauge of\n"
        "1. This list is made of the table that the program is made of.\n\n"
        "| metric | type | unit | labels | there is one | it says |\n"
        "| --- | --- | --- | --- | --- | --- |\n",
        file);
    for (size_t i = 0; i < METRIC_COUNT; i++)
        print_row(file, i);
    fputs("\n| label | is |\n| --- | --- |\n", file);
    for (size_t label = 0; label < METRICS_LABEL_END; label++)
        fprintf(file, "| `%s` | %s |\n", labels[label].name, labels[label].words);
    return fclose(file) ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return write_list(argv[1]);
    fprintf(stderr, "usage: generate_metrics FILE\n");
    return 2;
}
