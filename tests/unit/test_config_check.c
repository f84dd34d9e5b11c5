#include "hypervisor/config_check.h"

#include "hypervisor/config_file.h"
#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config config;

static int check(const char *text, struct err *err)
{
    CHECK_EQ(clearenv(), 0);
    config_init(&config);
    CHECK_OK(config_file_parse(&config, "/f", text, strlen(text), err), err);
    return config_check(&config, err);
}

TEST(defaults_follow_from_the_machine_and_from_each_other)
{
    char name[256] = "";
    struct err err = {0};

    CHECK_EQ(gethostname(name, sizeof(name) - 1), 0);
    CHECK_OK(check("", &err), &err);
    CHECK_STR_EQ(config.node_name, name);
    CHECK(config.runtime_dir[0] == '/');
    CHECK(!config.legacy_api);
    CHECK_OK(check("runtime_dir: /tmp/x\napi_token_file: /t\n", &err), &err);
    CHECK_STR_EQ(config.api_socket, "/tmp/x/api");
    CHECK(config.legacy_api);
    CHECK_EQ(config.sources[CONFIG_api_socket].kind, CONFIG_DEFAULT);
    CHECK_OK(check("api_socket: ''\napi_token_file: /t\nlegacy_api: off\n", &err), &err);
    CHECK_STR_EQ(config.api_socket, "");
    CHECK(!config.legacy_api);
    CHECK_OK(check("metrics_format: otel", &err), &err);
    CHECK_EQ(config.metrics_format, CONFIG_METRICS_INFLUX);
}

TEST(a_directory_for_the_log_gets_the_file_that_deployments_collect)
{
    struct err err = {0};

    CHECK_OK(check("log_file: /tmp", &err), &err);
    CHECK_STR_EQ(config.log_file, "/tmp/tf.log");
    CHECK_OK(check("log_file: /nowhere/x", &err), &err);
    CHECK_STR_EQ(config.log_file, "/nowhere/x");
}

TEST(beyond_this_machine_only_with_tokens)
{
    struct err err = {0};

    CHECK_EQ(check("api_listen_addr: 0.0.0.0:8080", &err), -EINVAL);
    CHECK_STR_EQ(err.text, "/f:1:18: api_listen_addr: '0.0.0.0:8080' can be reached from other "
                           "machines, which needs api_token_file");
    CHECK_OK(check("api_listen_addr: 0.0.0.0:8080\napi_token_file: /t", &err), &err);
    CHECK_OK(check("api_listen_addr: '[::1]:8080'", &err), &err);
    CHECK_OK(check("api_listen_addr: ''", &err), &err);
}

TEST(kubernetes_is_refused_aloud)
{
    struct err err = {0};

    CHECK_EQ(check("enable_k8s: true", &err), -EOPNOTSUPP);
    CHECK_STR_EQ(err.text, "/f:1:13: enable_k8s: this build has no Kubernetes support");
    CHECK_EQ(check("device_plugin_path: /p", &err), -EOPNOTSUPP);
    CHECK_STR_EQ(err.text, "/f:1:21: device_plugin_path: this build has no Kubernetes support");
    CHECK_OK(check("enable_k8s: false\nkubeconfig: /k\nkubelet_socket_path: /s", &err), &err);
}

TEST(what_cannot_be_is_refused_with_its_place)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"log_level: loud", "/f:1:12: log_level: 'loud' is no level"},
        {"api_listen_addr: here", "/f:1:18: api_listen_addr: 'here' is not an address"},
        {"api_host_names: 'a:80'", "/f:1:17: api_host_names: 'a:80' has more than names"},
        {"api_socket: api", "/f:1:13: api_socket: 'api' is not an absolute path"},
        {"api_socket: /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "is too long for a socket"},
        {"runtime_dir: run", "/f:1:14: runtime_dir: 'run' is not an absolute path"},
        {"runtime_dir: /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "runtime_dir: the path is too long"},
        {"metrics_extra_labels: {a: 1}",
         "/f:1:23: metrics_extra_labels: the tag for label 'a' is no name"},
        {"metrics_extra_labels: {a: ''}", "the tag for label 'a' is no name"},
        {"metrics_extra_labels: {a: node}", "there is a tag 'node' already"},
        {"metrics_extra_labels: {a: t, b: t}", "there is a tag 't' already"},
        {"metrics_extra_labels: {a: 01234567890123456789012345678901234567890123456789012345678901"
         "23}",
         "the label 'a' or its tag is too long"},
        {"metrics_extra_labels: {a: a, b: b, c: c, d: d, e: e, f: f, g: g, h: h, i: i, j: j, k: k, "
         "l: l, m: m}",
         "more than 12 labels"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};

        CHECK_EQ(check(bad[i].text, &err), -EINVAL);
        if (!strstr(err.text, bad[i].words))
            CHECK_STR_EQ(err.text, bad[i].words);
    }
}
