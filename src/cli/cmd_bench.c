#include "cli/bench.h"
#include "cli/bench_report.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/trial.h"
#include "supervisor/verdict.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_USUAL (3 * NS_PER_SEC)

static int fail(const struct err *err)
{
    log_error("bench: %s", err->text);
    return COMMAND_FAILED;
}

static int read_seconds(const struct command_line *line, double *ret_seconds)
{
    const char *text = command_value(line, "seconds");
    uint64_t seconds_ns = SECONDS_USUAL;
    struct err err;

    if (text && parse_seconds(&seconds_ns, text, &err) < 0)
        return command_usage_error(line, "--seconds: %s", err.text);
    if (seconds_ns < NS_PER_SEC / 2)
        return command_usage_error(line, "--seconds: half a second at least is needed");
    *ret_seconds = (double)seconds_ns / (double)NS_PER_SEC;
    return COMMAND_OK;
}

static int read_regex(const struct command_line *line, regex_t *regex, const regex_t **ret_regex)
{
    const char *text = command_value(line, "rows");
    char words[128];
    int rc = text ? regcomp(regex, text, REG_EXTENDED | REG_NOSUB) : 0;

    if (rc) {
        (void)regerror(rc, regex, words, sizeof(words));
        return command_usage_error(line, "--rows: '%s': %s", text, words);
    }
    *ret_regex = text ? regex : NULL;
    return COMMAND_OK;
}

static int draw(const struct bench_report *report, const char *path)
{
    FILE *file = fopen(path, "we");
    struct err err;
    bool is_written;

    if (!file) {
        (void)err_set(&err, errno, "write '%s'", path);
        return fail(&err);
    }
    bench_report_svg(report, file);
    is_written = !ferror(file);
    if (fclose(file) == 0 && is_written)
        return COMMAND_OK;
    (void)err_set(&err, errno, "write '%s'", path);
    return fail(&err);
}

static int report(const struct command_line *line, struct bench *bench)
{
    const char *driver = gpus_driver_version(bench->gpus), *svg_path = command_value(line, "svg");
    enum verdict verdict = verdict_load(&bench->runtime, gpus_card(bench->gpus, 0)->uuid, driver);
    const struct bench_report report = {.rows = &bench->rows,
                                        .gpu = gpus_name(bench->gpus, 0),
                                        .driver = driver,
                                        .engine = verdict == VERDICT_INERT ? "memory-only" : "rm"};
    int status = svg_path ? draw(&report, svg_path) : COMMAND_OK;

    if (command_has(line, "json"))
        bench_report_json(&report, stdout);
    else
        bench_report_table(&report, stdout);
    return bench_rows_passed(&bench->rows) < bench->rows.count ? COMMAND_FAILED : status;
}

static int measure(const struct command_line *line, struct bench *bench)
{
    struct err err;
    int status;

    if (runtime_open(&bench->runtime, &err) < 0)
        return fail(&err);
    if (gpus_open(&bench->gpus, &err) < 0) {
        log_error("bench: %s; to try it without a GPU: vgpu sim -- vgpu bench", err.text);
        return COMMAND_FAILED;
    }
    if (trial_setup_new(&bench->setup, &err) < 0) {
        status = fail(&err);
    } else {
        bench_run(bench, false);
        trial_setup_free(bench->setup);
        status = report(line, bench);
    }
    gpus_close(bench->gpus);
    return status;
}

int cmd_bench(const struct command_line *line)
{
    CLEANUP_FREE struct bench *bench = calloc(1, sizeof(*bench));
    regex_t regex;
    int status;

    if (line->operand_count)
        return command_usage_error(line, "'%s' is not understood", line->operands[0]);
    if (!bench) {
        log_error("bench: out of memory");
        return COMMAND_FAILED;
    }
    bench->level = command_has(line, "all") ? 1 : 0;
    if (read_seconds(line, &bench->seconds) || read_regex(line, &regex, &bench->wanted))
        return COMMAND_USAGE;
    if (command_has(line, "list")) {
        bench_run(bench, true);
        status = COMMAND_OK;
    } else {
        status = measure(line, bench);
    }
    if (bench->wanted)
        regfree(&regex);
    return status;
}
