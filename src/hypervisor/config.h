#pragma once
/*
 * config - what the daemon was told: plain data, a member for each row of options.def, with where
 * each value comes from. A struct config is copied by assignment, and stands by itself.
 *
 * Sources, each above the one before: default, file, environment, flag (config_load.h).
 */
#include "hypervisor/config_value.h"
#include "hypervisor/policy.h"

#include <limits.h>
#include <stdint.h>

#define CONFIG_FILE      "/etc/vgpu/hypervisor.yaml"
#define CONFIG_TEXT_SIZE 512
#define CONFIG_JSON_SIZE 8192

/* CHOICEs, in the order of their words in options.def. */
enum config_foreign_policy { CONFIG_FOREIGN_IGNORE, CONFIG_FOREIGN_ADOPT, CONFIG_FOREIGN_STOP };
enum config_metrics_format {
    CONFIG_METRICS_INFLUX,
    CONFIG_METRICS_JSON,
    CONFIG_METRICS_OTEL /* is never left in a loaded one */
};

enum config_source_kind { CONFIG_DEFAULT, CONFIG_FROM_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG };

struct config_source {
    enum config_source_kind kind;
    unsigned int line, column; /* of FROM_FILE */
    char variable[48];         /* of ENVIRONMENT: its name */
};

/* The numbers of the options: CONFIG_node_name, ... */
enum config_option {
#define OPTION(name, kind, argument, variables, standard, applies, help, notice) CONFIG_##name,
#include "hypervisor/options.def"
    CONFIG_OPTION_COUNT
};

#define CONFIG_TYPE_TEXT(name)     char name[CONFIG_TEXT_SIZE]
#define CONFIG_TYPE_PATH(name)     char name[CONFIG_TEXT_SIZE]
#define CONFIG_TYPE_LIST(name)     char name[CONFIG_TEXT_SIZE]
#define CONFIG_TYPE_JSON(name)     char name[CONFIG_JSON_SIZE]
#define CONFIG_TYPE_SIZE(name)     uint64_t name /* bytes */
#define CONFIG_TYPE_DURATION(name) uint64_t name /* nanoseconds */
#define CONFIG_TYPE_BOOLEAN(name)  bool name
#define CONFIG_TYPE_INTEGER(name)  uint32_t name
#define CONFIG_TYPE_CHOICE(name)   int name

struct config {
#define OPTION(name, kind, argument, variables, standard, applies, help, notice)                   \
    CONFIG_TYPE_##kind(name);
#include "hypervisor/options.def"
    struct config_source sources[CONFIG_OPTION_COUNT];
    char file[PATH_MAX]; /* that was read; empty: none */
    struct policy policy;
    unsigned int policy_line; /* in the file; 0: it has none */
};

struct config_row {
    const char *name;
    struct config_value_type type;
    size_t offset;
    const char *variables; /* with blanks between */
    const char *standard;
    bool reloads;
    const char *help;
    const char *notice; /* NULL: it has an effect */
};

/* CONFIG_OPTION_COUNT of them. */
extern const struct config_row config_rows[];

/* All defaults as the table has them. */
void config_init(struct config *ret_config);

/* An option's number, -1: there is none. */
int config_find(const char *name, size_t length);

void *config_value(struct config *config, enum config_option option);
const void *config_value_const(const struct config *config, enum config_option option);

/* Reads a value into its place and notes its source; -EINVAL with that and words. */
int config_set(struct config *config, enum config_option option, const char *text,
               struct config_source source, struct err *err) MUST_CHECK;

/* Where a value comes from: "/etc/vgpu/hypervisor.yaml:12", "environment X", "flag --x". */
void config_add_source(struct str *str, const struct config *config, enum config_option option);

/* Words about an option's value with where it comes from before them; returns -EINVAL. */
int config_fail(const struct config *config, enum config_option option, struct err *err,
                const char *format, ...) PRINTF_LIKE(4, 5);
