#include "hypervisor/config_load.h"

#include "tests/harness.h"
#include "utils/clock.h"
#include "utils/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config config;
static struct config_flags flags;
static char path[] = "/tmp/vgpu-config-XXXXXX";

/* A configuration of this file and these flags; what the environment has is the test's to set. */
static int load(const char *text, char *const *words, struct err *err)
{
    int fd, rc;

    memcpy(path, "/tmp/vgpu-config-XXXXXX", sizeof(path));
    fd = mkostemp(path, O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(file_write_all(fd, text, strlen(text)), 0);
    CHECK_EQ(close(fd), 0);
    CHECK_OK(config_flags_read(&flags, words, err), err);
    flags.file = path;
    rc = config_load(&config, &flags, err);
    CHECK_EQ(unlink(path), 0);
    return rc;
}

#define LOAD(text, err, ...) load((text), (char *[]){__VA_ARGS__ NULL}, (err))

static void clear_environment(void)
{
    CHECK_EQ(clearenv(), 0);
    CHECK_EQ(setenv("VGPU_RUNTIME_DIR", "/tmp/vgpu-test", 1), 0);
}

TEST(a_flag_is_above_the_environment_which_is_above_the_file_which_is_above_defaults)
{
    char flag[] = "--gpu-pool=flag";
    struct err err = {0};

    clear_environment();
    CHECK_OK(LOAD("", &err), &err);
    CHECK_STR_EQ(config.gpu_pool, "");
    CHECK_EQ(config.sources[CONFIG_gpu_pool].kind, CONFIG_DEFAULT);
    CHECK_OK(LOAD("gpu_pool: file", &err), &err);
    CHECK_STR_EQ(config.gpu_pool, "file");
    CHECK_EQ(config.sources[CONFIG_gpu_pool].kind, CONFIG_FROM_FILE);
    CHECK_EQ(setenv("TENSOR_FUSION_POOL_NAME", "environment", 1), 0);
    CHECK_OK(LOAD("gpu_pool: file", &err), &err);
    CHECK_STR_EQ(config.gpu_pool, "environment");
    CHECK_EQ(config.sources[CONFIG_gpu_pool].kind, CONFIG_ENVIRONMENT);
    CHECK_STR_EQ(config.sources[CONFIG_gpu_pool].variable, "TENSOR_FUSION_POOL_NAME");
    CHECK_OK(LOAD("gpu_pool: file", &err, flag, ), &err);
    CHECK_STR_EQ(config.gpu_pool, "flag");
    CHECK_EQ(config.sources[CONFIG_gpu_pool].kind, CONFIG_FLAG);
    CHECK_EQ(setenv("TENSOR_FUSION_POOL_NAME", "", 1), 0);
    CHECK_OK(LOAD("gpu_pool: file", &err), &err);
    CHECK_STR_EQ(config.gpu_pool, "file");
}

TEST(the_first_of_several_variables_counts)
{
    struct err err = {0};

    clear_environment();
    CHECK_EQ(setenv("RUST_LOG", "hypervisor=debug,warn", 1), 0);
    CHECK_OK(LOAD("", &err), &err);
    CHECK_STR_EQ(config.log_level, "hypervisor=debug,warn");
    CHECK_STR_EQ(config.sources[CONFIG_log_level].variable, "RUST_LOG");
    CHECK_EQ(setenv("TF_LOG_LEVEL", "error", 1), 0);
    CHECK_OK(LOAD("", &err), &err);
    CHECK_STR_EQ(config.log_level, "error");
    CHECK_EQ(setenv("VGPU_LOG", "debug", 1), 0);
    CHECK_OK(LOAD("", &err), &err);
    CHECK_STR_EQ(config.log_level, "debug");
}

TEST(the_variables_of_existing_deployments_are_read)
{
    static const struct {
        const char *name, *value;
        enum config_option option;
    } rows[] = {
        {"GPU_METRICS_FILE", "/m", CONFIG_gpu_metrics_file},
        {"TENSOR_FUSION_GPU_INFO_PATH", "/i", CONFIG_gpu_info_path},
        {"GPU_NODE_NAME", "n", CONFIG_node_name},
        {"TENSOR_FUSION_POOL_NAME", "p", CONFIG_gpu_pool},
        {"KUBECONFIG", "/k", CONFIG_kubeconfig},
        {"API_LISTEN_ADDR", "127.0.0.1:1", CONFIG_api_listen_addr},
        {"TF_HYPERVISOR_METRICS_EXTRA_LABELS", "{\"a\":\"b\"}", CONFIG_metrics_extra_labels},
        {"SHM_BASE_PATH", "/s", CONFIG_shared_memory_base_path},
        {"DEVICE_PLUGIN_RESOURCE_NAME", "r", CONFIG_device_plugin_resource_name},
        {"NVIDIA_DEV_ROOT", "/d", CONFIG_nvidia_dev_root},
        {"TF_HYPERVISOR_SCHEDULING_CONFIG", "{}", CONFIG_scheduling_config},
        {"TF_LOG_PATH", "/nowhere/l", CONFIG_log_file},
    };
    struct err err = {0};

    clear_environment();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK_EQ(setenv(rows[i].name, rows[i].value, 1), 0);
    CHECK_EQ(setenv("TF_HYPERVISOR_METRICS_FORMAT", "json", 1), 0);
    CHECK_EQ(setenv("DETECT_IN_USED_GPUS", "true", 1), 0);
    CHECK_EQ(setenv("ERL_UPDATE_INTERVAL_MS", "50", 1), 0);
    CHECK_EQ(setenv("TF_ENABLE_LOG", "off", 1), 0);
    CHECK_OK(LOAD("", &err), &err);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK_STR_EQ(config_value_const(&config, rows[i].option), rows[i].value);
    CHECK_EQ(config.metrics_format, CONFIG_METRICS_JSON);
    CHECK(config.detect_in_used_gpus);
    CHECK_EQ(config.erl_update_interval_ms, 50);
    CHECK(!config.enable_log);
    /* KUBECONFIG is not among them: it is there for others. */
    CHECK_EQ(config_without_effect(&config), UINT64_C(1) << CONFIG_erl_update_interval_ms |
                                                 UINT64_C(1) << CONFIG_scheduling_config |
                                                 UINT64_C(1) << CONFIG_metrics_extra_labels |
                                                 UINT64_C(1) << CONFIG_detect_in_used_gpus |
                                                 UINT64_C(1) << CONFIG_device_plugin_resource_name |
                                                 UINT64_C(1) << CONFIG_nvidia_dev_root);
}

/* They are set for programs whose filters can do more; our own variable has to be right. */
TEST(levels_in_other_programs_variables_are_read_as_far_as_they_are_understood)
{
    struct err err = {0};

    clear_environment();
    CHECK_EQ(setenv("RUST_LOG", "warn,hyper,[span{a=1}]=trace,http=debug", 1), 0);
    CHECK_OK(LOAD("", &err), &err);
    CHECK_STR_EQ(config.log_level, "warn,http=debug");
    CHECK_EQ(setenv("TF_LOG_LEVEL", "hyper", 1), 0);
    CHECK_OK(LOAD("", &err), &err);
    CHECK_STR_EQ(config.log_level, "");
    CHECK_EQ(setenv("VGPU_LOG", "hyper", 1), 0);
    CHECK_EQ(LOAD("", &err), -EINVAL);
}

TEST(what_kubernetes_alone_needs_has_no_effect_and_is_told_of)
{
    char flag[] = "--k8s-namespace=n";
    struct err err = {0};

    clear_environment();
    CHECK_OK(LOAD("kubeconfig: /k\nkubelet_socket_path: /s", &err, flag, ), &err);
    CHECK_EQ(config_without_effect(&config), UINT64_C(1) << CONFIG_kubeconfig |
                                                 UINT64_C(1) << CONFIG_kubelet_socket_path |
                                                 UINT64_C(1) << CONFIG_k8s_namespace);
}

TEST(a_mistake_anywhere_leaves_the_configuration_as_it_was)
{
    char good[] = "--gpu-pool=good", bad[] = "--queue-seconds=x";
    struct err err = {0};

    clear_environment();
    CHECK_OK(LOAD("", &err, good, ), &err);
    CHECK_EQ(LOAD("gpu_pool: [", &err), -EINVAL);
    CHECK(strstr(err.text, path) != NULL);
    CHECK_EQ(LOAD("gpu_pool: other", &err, bad, ), -EINVAL);
    CHECK_STR_EQ(err.text, "flag --queue-seconds: 'x' is not a length of time such as '90s', "
                           "'500ms', '24h' or '1h 30m'");
    CHECK_EQ(setenv("DETECT_IN_USED_GPUS", "some", 1), 0);
    CHECK_EQ(LOAD("gpu_pool: other", &err), -EINVAL);
    CHECK_STR_EQ(err.text, "environment DETECT_IN_USED_GPUS: detect_in_used_gpus: 'some' is "
                           "neither true nor false");
    CHECK_STR_EQ(config.gpu_pool, "good");
}

TEST(a_file_that_was_named_has_to_be_there)
{
    struct err err = {0};

    clear_environment();
    flags = (struct config_flags){.file = "/nowhere/hypervisor.yaml"};
    CHECK(config_load(&config, &flags, &err) == -ENOENT);
    CHECK(strstr(err.text, "/nowhere/hypervisor.yaml") != NULL);
}

TEST(what_only_a_start_changes_is_kept_by_a_reload)
{
    static struct config current;
    struct err err = {0};

    clear_environment();
    CHECK_OK(LOAD("node_name: a\nlog_level: info\napi_listen_addr: 127.0.0.1:1\n", &err), &err);
    current = config;
    CHECK_OK(LOAD("node_name: b\nlog_level: debug\napi_listen_addr: 127.0.0.1:1\n", &err), &err);
    CHECK_EQ(config_keep_started(&config, &current), UINT64_C(1) << CONFIG_node_name);
    CHECK_STR_EQ(config.node_name, "a");
    CHECK_STR_EQ(config.log_level, "debug");
}
