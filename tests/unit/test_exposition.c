#include "hypervisor/exposition.h"

#include "utils/file.h"
#include "utils/str.h"

#include <string.h>

#include "tests/harness.h"
#include "tests/unit/made_up_snapshot.h"

#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TEXT        "text/plain; version=0.0.4; charset=utf-8"

static void write_made_up(const char *accept, struct exposition *ret_exposition)
{
    struct metrics_own own = made_up_own();
    struct snapshot *snapshot = made_up_snapshot();
    struct err err;

    CHECK_OK(exposition_write(snapshot, &own, accept, ret_exposition, &err), &err);
    snapshot_release(snapshot);
    CHECK_EQ(strlen(ret_exposition->text), ret_exposition->length);
}

static const char *type_for(const char *accept)
{
    struct exposition exposition;

    write_made_up(accept, &exposition);
    exposition_fini(&exposition);
    return exposition.content_type;
}

TEST(a_snapshot_is_written_as_it_always_was)
{
    static char expected[65536];
    struct exposition exposition;
    struct err err;

    CHECK_OK(file_read(EXPECTED_FILE, expected, sizeof(expected), &err) < 0 ? -1 : 0, &err);
    write_made_up(NULL, &exposition);
    CHECK_STR_EQ(exposition.text, expected);
    exposition_fini(&exposition);
}

/* Copies the lines that are no comments. */
static void keep_samples(char *text)
{
    char *to = text, *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        size_t length = strlen(line);

        if (line[0] == '#')
            continue;
        memmove(to, line, length);
        to += length;
        *to++ = '\n';
    }
    *to = '\0';
}

TEST(both_formats_have_the_same_samples)
{
    struct exposition plain, open;

    write_made_up(NULL, &plain);
    write_made_up("application/openmetrics-text;version=1.0.0", &open);
    CHECK_STR_EQ(plain.text + plain.length - 1, "\n");
    CHECK_STR_EQ(open.text + open.length - 6, "# EOF\n");
    keep_samples(plain.text);
    keep_samples(open.text);
    CHECK(strlen(plain.text) > 1000);
    CHECK_STR_EQ(plain.text, open.text);
    exposition_fini(&plain);
    exposition_fini(&open);
}

TEST(openmetrics_names_families_and_units_in_its_own_way)
{
    struct exposition plain, open;

    write_made_up(NULL, &plain);
    write_made_up("application/openmetrics-text;version=1.0.0", &open);
    CHECK(strstr(plain.text, "# TYPE vgpu_build_info gauge\n") != NULL);
    CHECK(strstr(open.text, "# TYPE vgpu_build info\n") != NULL);
    CHECK(strstr(plain.text, "# TYPE vgpu_samples_total counter\n") != NULL);
    CHECK(strstr(open.text, "# TYPE vgpu_samples counter\n") != NULL);
    CHECK(strstr(open.text, "# UNIT vgpu_gpu_power_watts watts\n") != NULL);
    CHECK(strstr(plain.text, "# UNIT") == NULL);
    exposition_fini(&plain);
    exposition_fini(&open);
}

TEST(what_is_unknown_is_absent_and_never_zero)
{
    struct exposition exposition;

    write_made_up(NULL, &exposition);
    CHECK(strstr(exposition.text, "vgpu_gpu_memory_used_bytes{node=\"node-a\",gpu=\"0\"") != NULL);
    CHECK(strstr(exposition.text, "vgpu_gpu_memory_used_bytes{node=\"node-a\",gpu=\"1\"") == NULL);
    /* Nobody knows it: nor is there a head without a body. */
    CHECK(strstr(exposition.text, "pcie_transmit") == NULL);
    CHECK(strstr(exposition.text, "readers_dropped") == NULL);
    CHECK(strstr(exposition.text, "cap_ratio{node=\"node-a\",tenant=\"team-b_trainer\"") == NULL);
    CHECK(strstr(exposition.text, "limit_bytes{node=\"node-a\",tenant=\"team-b_trainer\"") == NULL);
    CHECK(strstr(exposition.text, "foreign_memory_bytes{node=\"node-a\",gpu=\"1\"") == NULL);
    /* A zero that was measured is there. */
    CHECK(strstr(exposition.text, "vgpu_gpu_memory_busy_ratio{node=\"node-a\",gpu=\"0\",uuid="
                                  "\"GPU-5C0FFEE0-0000-0000-0000-000000000000\"} 0\n") != NULL);
    exposition_fini(&exposition);
}

TEST(names_that_break_a_format_are_escaped_and_made_text)
{
    struct exposition exposition;

    write_made_up(NULL, &exposition);
    CHECK(strstr(exposition.text, "model=\"a \\\"model\\\" with \\\\ and\\nmore\"} 1\n") != NULL);
    CHECK(strstr(exposition.text, "component=\"fan\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"} 1\n") !=
          NULL);
    exposition_fini(&exposition);
}

TEST(a_node_that_knows_nothing_of_itself_has_no_empty_labels)
{
    struct metrics_own own = made_up_own();
    struct snapshot *snapshot = snapshot_new(0);
    struct exposition exposition;
    struct err err;

    CHECK(snapshot != NULL);
    own.version = "";
    CHECK_OK(exposition_write(snapshot, &own, NULL, &exposition, &err), &err);
    CHECK(strstr(exposition.text, "\nvgpu_build_info 1\n") != NULL);
    CHECK(strstr(exposition.text, "\nvgpu_ready 0\n") != NULL);
    CHECK(strstr(exposition.text, "vgpu_gpu_") == NULL);
    exposition_fini(&exposition);
    snapshot_release(snapshot);
}

TEST(shares_and_processes_of_gpus_that_are_not_there_are_left_out)
{
    struct metrics_own own = made_up_own();
    struct snapshot *snapshot = made_up_snapshot();
    struct exposition exposition;
    struct err err;

    snapshot->gpu_count = 0;
    CHECK_OK(exposition_write(snapshot, &own, NULL, &exposition, &err), &err);
    CHECK(strstr(exposition.text, "vgpu_tenant_weight") == NULL);
    CHECK(strstr(exposition.text, "_foreign_") == NULL);
    CHECK(strstr(exposition.text, "vgpu_tenant_processes") != NULL);
    exposition_fini(&exposition);
    snapshot_release(snapshot);
}

/* Else any user could fill the metrics, and have the alerts of tenants fire. */
TEST(tenants_of_others_own_runs_are_counted_and_not_named)
{
    struct metrics_own own = made_up_own();
    struct snapshot *snapshot = made_up_snapshot();
    struct exposition exposition;
    struct err err;

    snapshot->tenants[0].is_standalone = true;
    CHECK_OK(exposition_write(snapshot, &own, NULL, &exposition, &err), &err);
    CHECK(strstr(exposition.text, "tenant=\"limited\"") == NULL);
    CHECK(strstr(exposition.text, "tenant=\"queued\"") != NULL);
    CHECK(strstr(exposition.text, "vgpu_standalone_tenants{node=\"node-a\"} 1\n") != NULL);
    exposition_fini(&exposition);
    snapshot_release(snapshot);
}

TEST(processes_that_are_counted_to_a_tenant_are_not_foreign)
{
    struct metrics_own own = made_up_own();
    struct snapshot *snapshot = made_up_snapshot();
    struct exposition exposition;
    struct err err;

    memcpy(snapshot->foreign[0].tenant, "limited", sizeof("limited"));
    CHECK_OK(exposition_write(snapshot, &own, NULL, &exposition, &err), &err);
    CHECK(strstr(exposition.text, "vgpu_gpu_foreign_processes{node=\"node-a\",gpu=\"0\",uuid="
                                  "\"GPU-5C0FFEE0-0000-0000-0000-000000000000\"} 0\n") != NULL);
    CHECK(strstr(exposition.text, "vgpu_gpu_foreign_memory_bytes{node=\"node-a\",gpu=\"0\",uuid="
                                  "\"GPU-5C0FFEE0-0000-0000-0000-000000000000\"} 0\n") != NULL);
    exposition_fini(&exposition);
    snapshot_release(snapshot);
}

TEST(openmetrics_is_for_those_who_name_it_and_want_it_at_least_as_much)
{
    CHECK_STR_EQ(type_for(NULL), TEXT);
    CHECK_STR_EQ(type_for("*/*"), TEXT);
    CHECK_STR_EQ(type_for("text/html,application/xhtml+xml,*/*;q=0.8"), TEXT);
    CHECK_STR_EQ(type_for("application/*"), TEXT);
    CHECK_STR_EQ(type_for("image/png"), TEXT);
    CHECK_STR_EQ(type_for("application/openmetrics-text;version=0.0.1"), TEXT);
    CHECK_STR_EQ(type_for("application/openmetrics-text;q=0"), TEXT);
    CHECK_STR_EQ(type_for("application/openmetrics-text;q=0.3,text/plain;q=0.5"), TEXT);
    CHECK_STR_EQ(type_for("application/openmetrics-text"), OPENMETRICS);
    CHECK_STR_EQ(type_for("text/plain, application/openmetrics-text"), OPENMETRICS);
    /* What Prometheus 2.42 and 3 send. */
    CHECK_STR_EQ(type_for("application/openmetrics-text;version=1.0.0,"
                          "application/openmetrics-text;version=0.0.1;q=0.75,"
                          "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
                 OPENMETRICS);
    CHECK_STR_EQ(type_for("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                          "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;"
                          "version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;"
                          "q=0.3,*/*;q=0.2"),
                 OPENMETRICS);
    CHECK_STR_EQ(type_for("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.4"),
                 TEXT);
}
