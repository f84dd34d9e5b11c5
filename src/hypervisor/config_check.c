#include "hypervisor/config_check.h"

#include "hypervisor/http_server.h"
#include "hypervisor/listen_address.h"
#include "hypervisor/log_levels.h"
#include "hypervisor/usage_labels.h"
#include "supervisor/runtime.h"
#include "utils/log.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STANDARD_LOG_NAME "tf.log" /* what existing deployments collect from a directory */

static bool is_default(const struct config *config, enum config_option option)
{
    return config->sources[option].kind == CONFIG_DEFAULT;
}

/* --- defaults that are no constants --- */

static int fill_node_name(struct config *config, struct err *err)
{
    if (config->node_name[0])
        return 0;
    if (gethostname(config->node_name, sizeof(config->node_name) - 1) < 0)
        return err_set(err, errno, "find the host's name");
    return 0;
}

static int fill_runtime(struct config *config, struct err *err)
{
    struct runtime runtime;
    int rc;

    if (!config->runtime_dir[0]) {
        rc = runtime_find(&runtime, err);
        if (rc < 0)
            return rc;
        (void)str_format(config->runtime_dir, sizeof(config->runtime_dir), "%s", runtime.base);
    }
    if (config->runtime_dir[0] != '/')
        return config_fail(config, CONFIG_runtime_dir, err, "'%s' is not an absolute path",
                           config->runtime_dir);
    if (is_default(config, CONFIG_api_socket) &&
        !str_format(config->api_socket, sizeof(config->api_socket), "%s/api", config->runtime_dir))
        return config_fail(config, CONFIG_runtime_dir, err, "the path is too long for a socket");
    if (strlen(config->runtime_dir) >= RUNTIME_PATH_MAX)
        return config_fail(config, CONFIG_runtime_dir, err, "the path is too long for a socket");
    return 0;
}

static int fill_log_file(struct config *config, struct err *err)
{
    size_t length = strlen(config->log_file);
    struct stat status;

    if (!length || stat(config->log_file, &status) < 0 || !S_ISDIR(status.st_mode))
        return 0;
    if (length + sizeof("/" STANDARD_LOG_NAME) > sizeof(config->log_file))
        return config_fail(config, CONFIG_log_file, err, "the path is too long");
    memcpy(config->log_file + length, "/" STANDARD_LOG_NAME, sizeof("/" STANDARD_LOG_NAME));
    return 0;
}

static int fill(struct config *config, struct err *err)
{
    int rc = fill_node_name(config, err);

    if (!rc)
        rc = fill_runtime(config, err);
    if (!rc)
        rc = fill_log_file(config, err);
    if (is_default(config, CONFIG_legacy_api))
        config->legacy_api = config->api_token_file[0] != '\0';
    if (config->metrics_format == CONFIG_METRICS_OTEL)
        config->metrics_format = CONFIG_METRICS_INFLUX;
    return rc;
}

/* --- what is refused --- */

static int check_kubernetes(const struct config *config, struct err *err)
{
    enum config_option asked = config->enable_k8s ? CONFIG_enable_k8s : CONFIG_device_plugin_path;
    struct err words;

    if (!config->enable_k8s && !config->device_plugin_path[0])
        return 0;
    (void)config_fail(config, asked, &words, "this build has no Kubernetes support");
    return err_say(err, EOPNOTSUPP, "%s", words.text);
}

static int check_socket(const struct config *config, struct err *err)
{
    if (!config->api_socket[0])
        return 0;
    if (config->api_socket[0] != '/')
        return config_fail(config, CONFIG_api_socket, err, "'%s' is not an absolute path",
                           config->api_socket);
    if (strlen(config->api_socket) >= RUNTIME_PATH_MAX)
        return config_fail(config, CONFIG_api_socket, err, "'%s' is too long for a socket",
                           config->api_socket);
    return 0;
}

/* The HTTP server takes them together. */
static int check_host_names(const struct config *config, struct err *err)
{
    size_t length = strlen(config->node_name) + 1 + strlen(config->api_host_names);

    if (length >= HTTP_HOST_NAMES_SIZE)
        return config_fail(config, CONFIG_api_host_names, err, "the names are too long");
    if (strpbrk(config->api_host_names, ":/"))
        return config_fail(config, CONFIG_api_host_names, err, "'%s' has more than names",
                           config->api_host_names);
    return 0;
}

static int check_listening(const struct config *config, struct err *err)
{
    struct listen_address address;
    struct err reason;

    if (!config->api_listen_addr[0])
        return 0;
    if (listen_address_parse(&address, config->api_listen_addr, &reason) < 0)
        return config_fail(config, CONFIG_api_listen_addr, err, "%s", reason.text);
    if (!listen_address_is_loopback(&address) && !config->api_token_file[0])
        return config_fail(config, CONFIG_api_listen_addr, err,
                           "'%s' can be reached from other machines, which needs api_token_file",
                           config->api_listen_addr);
    return 0;
}

static int check_labels(const struct config *config, struct err *err)
{
    struct usage_labels labels;
    struct err reason;

    if (usage_labels_parse(&labels, config->metrics_extra_labels, &reason) < 0)
        return config_fail(config, CONFIG_metrics_extra_labels, err, "%s", reason.text);
    return 0;
}

/*
 * The variables of other programs have those programs' filters, of spans and fields too: who starts
 * us in their place is told what of it we cannot do. Our own has to be right.
 */
static void drop_unknown_levels(struct config *config)
{
    const struct config_source *source = &config->sources[CONFIG_log_level];
    char dropped[CONFIG_TEXT_SIZE];
    struct str str;

    if (source->kind != CONFIG_ENVIRONMENT || str_equals(source->variable, "VGPU_LOG"))
        return;
    str_init(&str, dropped, sizeof(dropped));
    log_levels_drop_unknown(config->log_level, &str);
    if (str.length)
        log_warn("variable %s: levels of the log that are not understood are left out: %s",
                 source->variable, dropped);
}

static int check_levels(struct config *config, struct err *err)
{
    struct log_levels levels;
    struct err reason;

    drop_unknown_levels(config);
    if (log_levels_parse(&levels, config->log_level, &reason) < 0)
        return config_fail(config, CONFIG_log_level, err, "%s", reason.text);
    return 0;
}

int config_check(struct config *config, struct err *err)
{
    int rc = fill(config, err);

    if (!rc)
        rc = check_kubernetes(config, err);
    if (!rc)
        rc = check_socket(config, err);
    if (!rc)
        rc = check_listening(config, err);
    if (!rc)
        rc = check_host_names(config, err);
    if (!rc)
        rc = check_labels(config, err);
    if (!rc)
        rc = check_levels(config, err);
    return rc;
}
