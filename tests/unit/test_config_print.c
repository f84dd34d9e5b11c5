#include "hypervisor/config_print.h"

#include "hypervisor/config_check.h"
#include "hypervisor/config_file.h"
#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char *print(const struct config *config)
{
    struct err err = {0};
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);

    CHECK(file != NULL);
    CHECK_OK(config_print(config, file, &err), &err);
    CHECK_EQ(fclose(file), 0);
    return text;
}

static void read_it(struct config *config, const char *text)
{
    struct err err = {0};

    config_init(config);
    CHECK_OK(config_file_parse(config, "/f", text, strlen(text), &err), &err);
    CHECK_OK(config_check(config, &err), &err);
}

TEST(what_is_printed_is_read_back_as_the_same)
{
    static struct config first, second;
    char *once;

    read_it(&first, "node_name: 'a # \"b\" \\'\n"
                    "queue_seconds: 90.5\n"
                    "log_file_size: 1000\n"
                    "log_level: info,http=debug\n"
                    "foreign_policy: adopt\n"
                    "standalone_directories: ['/a b/*', '/c']\n"
                    "metrics_extra_labels: {team: \"o\\\"w\\u00e9\"}\n"
                    "erl_update_interval_ms: 50\n"
                    "api_socket:\n"
                    "policy:\n"
                    "  - {user: root, memory: 12.5%}\n"
                    "  - {everyone: true, deny: true}\n");
    once = print(&first);
    read_it(&second, once);
    for (unsigned int option = 0; option < CONFIG_OPTION_COUNT; option++)
        CHECK(config_value_equals(&config_rows[option].type, config_value(&first, option),
                                  config_value(&second, option)));
    CHECK_EQ(second.policy.count, 2);
    CHECK_EQ(second.policy.rules[0].memory.milli_percent, 12500);
    CHECK(second.policy.rules[1].is_denied);
    free(once);
}

TEST(each_value_has_where_it_comes_from)
{
    static struct config config;
    char *text;

    read_it(&config, "\ngpu_pool: b\npolicy:\n  - everyone: true\n");
    config.sources[CONFIG_api_listen_addr] =
        (struct config_source){.kind = CONFIG_ENVIRONMENT, .variable = "API_LISTEN_ADDR"};
    config.sources[CONFIG_log_files_kept].kind = CONFIG_FLAG;
    text = print(&config);
    CHECK(strstr(text, "gpu_pool: \"b\"  # from /f:2\n") != NULL);
    CHECK(strstr(text, "api_listen_addr: \"127.0.0.1:8080\"  # environment API_LISTEN_ADDR\n"));
    CHECK(strstr(text, "log_files_kept: 7  # flag --log-files-kept\n") != NULL);
    CHECK(strstr(text, "log_level: \"info\"  # default\n") != NULL);
    CHECK(strstr(text, "policy:  # from /f:3\n  - {everyone: true}  # from /f:4\n") != NULL);
    CHECK(strstr(text, "erl_update_interval_ms") == NULL);
    free(text);
}

TEST(a_full_disk_is_an_error)
{
    static struct config config;
    struct err err = {0};
    FILE *file = fopen("/dev/full", "we");

    read_it(&config, "");
    CHECK_EQ(config_print(&config, file, &err), -ENOSPC);
    CHECK(fclose(file) == 0 || errno == ENOSPC);
}
