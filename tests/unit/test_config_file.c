#include "hypervisor/config_file.h"

#include "tests/harness.h"
#include "utils/clock.h"

#include <errno.h>
#include <string.h>

static struct config config;

static int read_it(const char *text, struct err *err)
{
    config_init(&config);
    return config_file_parse(&config, "/etc/f.yaml", text, strlen(text), err);
}

TEST(every_option_is_a_key_and_its_place_is_remembered)
{
    struct err err = {0};

    CHECK_OK(read_it("# the node\n"
                     "node_name: alpha\n"
                     "queue_seconds: 1m\n"
                     "foreign_policy: stop\n"
                     "log_file_size: 1GiB\n"
                     "enable_metrics: off\n"
                     "metrics_batch_size: 5\n"
                     "standalone_directories:\n"
                     "  - /a/*\n"
                     "  - /b\n"
                     "metrics_extra_labels: {team: owner}\n"
                     "scheduling_config: '{\"a\": 1}'\n"
                     "policy:\n"
                     "  - user: root\n",
                     &err),
             &err);
    CHECK_STR_EQ(config.node_name, "alpha");
    CHECK_EQ(config.queue_seconds, 60 * NS_PER_SEC);
    CHECK_EQ(config.foreign_policy, CONFIG_FOREIGN_STOP);
    CHECK_EQ(config.log_file_size, 1 << 30);
    CHECK(!config.enable_metrics);
    CHECK_EQ(config.metrics_batch_size, 5);
    CHECK_STR_EQ(config.standalone_directories, "/a/*,/b");
    CHECK_STR_EQ(config.metrics_extra_labels, "{\"team\":\"owner\"}");
    CHECK_STR_EQ(config.scheduling_config, "{\"a\":1}");
    CHECK_EQ(config.policy.count, 1);
    CHECK_EQ(config.policy_line, 13);
    CHECK_EQ(config.sources[CONFIG_foreign_policy].kind, CONFIG_FROM_FILE);
    CHECK_EQ(config.sources[CONFIG_foreign_policy].line, 4);
    CHECK_EQ(config.sources[CONFIG_foreign_policy].column, 17);
    CHECK_EQ(config.sources[CONFIG_log_level].kind, CONFIG_DEFAULT);
    CHECK_STR_EQ(config.file, "/etc/f.yaml");
}

TEST(nothing_is_a_configuration_too)
{
    struct err err = {0};

    CHECK_OK(read_it("", &err), &err);
    CHECK_OK(read_it("# nothing\n", &err), &err);
    CHECK_STR_EQ(config.log_level, "info");
    CHECK_OK(read_it("api_socket:\nlog_level: ~\nstandalone_directories: []\n", &err), &err);
    CHECK_STR_EQ(config.log_level, "");
    CHECK_STR_EQ(config.standalone_directories, "");
}

TEST(each_mistake_has_its_place_and_words)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"node_nmae: a", "/etc/f.yaml:1:1: there is no option 'node_nmae'; is 'node_name' meant?"},
        {"\napi-socket: a", "/etc/f.yaml:2:1: there is no option 'api-socket'; is 'api_socket'"},
        {"polices: []", "is 'policy' meant?"},
        {"zzzzzzzzzz: 1", "/etc/f.yaml:1:1: there is no option 'zzzzzzzzzz'"},
        {"- node_name", "/etc/f.yaml:1:1: expected are lines such as 'key: value'"},
        {"just words", "/etc/f.yaml:1:1: expected are lines"},
        {"node_name: [a]", "/etc/f.yaml:1:12: node_name: expected is NAME"},
        {"node_name: \"a\\nb\"", "/etc/f.yaml:1:12: node_name: the value is no text"},
        {"node_name: \"a\\0b\"", "/etc/f.yaml:1:12: node_name: expected is NAME"},
        {"queue_seconds: soon", "/etc/f.yaml:1:16: queue_seconds: 'soon' is not a length of time"},
        {"log_file_size: 5 apples", "log_file_size: '5 apples' is not a size"},
        {"enable_metrics: perhaps", "enable_metrics: 'perhaps' is neither true nor false"},
        {"enable_metrics:", "/etc/f.yaml:1:16: enable_metrics: '' is neither true nor false"},
        {"sample_interval_ms: 99", "sample_interval_ms: '99' is not between 100 and 60000"},
        {"foreign_policy: kill", "foreign_policy: 'kill' is none of ignore|adopt|stop"},
        {"scheduling_config: [1]", "/etc/f.yaml:1:20: scheduling_config: not a JSON object"},
        {"scheduling_config: '{'", "/etc/f.yaml:1:20: scheduling_config: not JSON"},
        {"standalone_directories: ['a,b']", "/etc/f.yaml:1:26: expected is a text without a comma"},
        {"standalone_directories: [{}]", "expected is a text without a comma"},
        {"standalone_directories: {}", "/etc/f.yaml:1:25: standalone_directories: expected is"},
        {"log_level: a\nlog_level: b", "/etc/f.yaml:2:1: 'log_level' is there twice"},
        {"policy: {}", "/etc/f.yaml:1:9: the policy is a list"},
        {"node_name: 'a", "/etc/f.yaml:1:"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};

        CHECK_EQ(read_it(bad[i].text, &err), -EINVAL);
        if (!strstr(err.text, bad[i].words))
            CHECK_STR_EQ(err.text, bad[i].words);
    }
}

TEST(what_does_not_fit_is_refused)
{
    static char text[CONFIG_JSON_SIZE * 2];
    struct err err = {0};
    struct str str;

    str_init(&str, text, sizeof(text));
    str_add(&str, "standalone_directories: [");
    for (int i = 0; i < 100; i++)
        str_add(&str, "/directory%d,", i);
    str_add(&str, "]");
    CHECK_EQ(read_it(text, &err), -EINVAL);
    CHECK(strstr(err.text, "too long") != NULL);
    str_init(&str, text, sizeof(text));
    str_add(&str, "node_name: ");
    for (int i = 0; i < CONFIG_TEXT_SIZE; i++)
        str_add(&str, "a");
    CHECK_EQ(read_it(text, &err), -EINVAL);
    CHECK(strstr(err.text, "node_name: the value is longer than 511 bytes") != NULL);
    CHECK_EQ(config_file_parse(&config, "a\nb", "", 0, &err), -EINVAL);
}
