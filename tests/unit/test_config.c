#include "hypervisor/config.h"

#include "tests/harness.h"
#include "utils/clock.h"

#include <string.h>

static struct config config;

TEST(defaults_are_ours)
{
    config_init(&config);
    CHECK_STR_EQ(config.api_listen_addr, "127.0.0.1:8080");
    CHECK_STR_EQ(config.gpu_metrics_file, "");
    CHECK_STR_EQ(config.shared_memory_base_path, "");
    CHECK(!config.enable_k8s);
    CHECK_EQ(config.sample_interval_ms, 1000);
    CHECK_EQ(config.queue_seconds, 0);
    CHECK_EQ(config.foreign_policy, CONFIG_FOREIGN_IGNORE);
    CHECK_STR_EQ(config.standalone_directories, "/run/user/*/vgpu,/tmp/vgpu-*");
    CHECK_EQ(config.log_file_age, 86400 * NS_PER_SEC);
    CHECK_EQ(config.policy.count, 0);
    for (int option = 0; option < CONFIG_OPTION_COUNT; option++)
        CHECK_EQ(config.sources[option].kind, CONFIG_DEFAULT);
}

TEST(options_are_found_by_their_whole_names)
{
    CHECK_EQ(config_find("api_socket", strlen("api_socket")), CONFIG_api_socket);
    CHECK_EQ(config_find("api_socket", strlen("api_soc")), -1);
    CHECK_EQ(config_find("api_sockets", strlen("api_sockets")), -1);
    CHECK_EQ(config_find("", 0), -1);
}

/* The manual says a word about each, and one that has no effect says why. */
TEST(each_row_of_the_table_is_whole)
{
    for (int option = 0; option < CONFIG_OPTION_COUNT; option++) {
        CHECK(strlen(config_rows[option].help) > 10);
        CHECK(strlen(config_rows[option].type.argument) > 2);
        CHECK(!config_rows[option].notice || strlen(config_rows[option].notice) > 10);
    }
}

TEST(a_failure_is_told_with_where_the_value_comes_from)
{
    struct err err = {0};

    config_init(&config);
    CHECK(config_set(&config, CONFIG_queue_seconds, "x",
                     (struct config_source){.kind = CONFIG_ENVIRONMENT, .variable = "Q"},
                     &err) < 0);
    CHECK(strstr(err.text, "environment Q: queue_seconds: 'x' is not") == err.text);
    CHECK(config_fail(&config, CONFIG_log_level, &err, "bad %d", 7) < 0);
    CHECK_STR_EQ(err.text, "default: log_level: bad 7");
}
