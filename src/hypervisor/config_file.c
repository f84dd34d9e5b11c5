#include "hypervisor/config_file.h"

#include "hypervisor/nearest.h"
#include "hypervisor/policy_file.h"
#include "hypervisor/yaml_json.h"
#include "utils/utf8.h"

#include <errno.h>
#include <string.h>

static int fail_unknown(const struct yaml_tree *tree, const yaml_node_t *key, struct err *err)
{
    const char *name = yaml_tree_text(key);
    struct nearest nearest;

    nearest_begin(&nearest, name);
    for (int option = 0; option < CONFIG_OPTION_COUNT; option++)
        nearest_offer(&nearest, config_rows[option].name);
    nearest_offer(&nearest, "policy");
    if (nearest_get(&nearest))
        return yaml_tree_fail(tree, key, err, "there is no option '%s'; is '%s' meant?", name,
                              nearest_get(&nearest));
    return yaml_tree_fail(tree, key, err, "there is no option '%s'", name);
}

/* A sequence of texts, as one text with commas. */
static int join(struct yaml_tree *tree, const yaml_node_t *node, char *ret_text, struct err *err)
{
    struct str str;

    str_init(&str, ret_text, CONFIG_TEXT_SIZE);
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        const yaml_node_t *part = yaml_tree_node(tree, *item);
        const char *text = yaml_tree_text(part);

        if (!text || !*text || strchr(text, ','))
            return yaml_tree_fail(tree, part, err, "expected is a text without a comma");
        str_add(&str, "%s%s", str.length ? "," : "", text);
    }
    return str.is_cut ? yaml_tree_fail(tree, node, err, "the list is too long") : 0;
}

/* An option on its way from the file into the configuration. */
struct setting {
    struct config *config;
    enum config_option option;
    struct yaml_tree *tree;
    yaml_node_t *value;
};

static int set_text(const struct setting *setting, const char *text, struct err *err)
{
    const struct config_source source = {
        .kind = CONFIG_FROM_FILE,
        .line = yaml_tree_line(setting->value),
        .column = (unsigned int)setting->value->start_mark.column + 1,
    };

    return config_set(setting->config, setting->option, text, source, err);
}

static int set_json(const struct setting *setting, struct err *err)
{
    CLEANUP_FREE char *text = NULL;
    int rc = yaml_json_write(setting->tree, setting->value, &text, err);

    return rc < 0 ? rc : set_text(setting, text, err);
}

static int set_list(const struct setting *setting, struct err *err)
{
    char text[CONFIG_TEXT_SIZE];
    int rc = join(setting->tree, setting->value, text, err);

    return rc < 0 ? rc : set_text(setting, text, err);
}

static int set_value(const struct setting *setting, struct err *err)
{
    enum config_value_kind kind = config_rows[setting->option].type.kind;
    const char *text = yaml_tree_text(setting->value);

    if (yaml_tree_is_null(setting->value))
        text = "";
    if (text)
        return set_text(setting, text, err);
    if (kind == CONFIG_VALUE_JSON)
        return set_json(setting, err);
    if (kind == CONFIG_VALUE_LIST && setting->value->type == YAML_SEQUENCE_NODE)
        return set_list(setting, err);
    return yaml_tree_fail(setting->tree, setting->value, err, "%s: expected is %s",
                          config_rows[setting->option].name,
                          config_rows[setting->option].type.argument);
}

static int read_pair(void *context, struct yaml_tree *tree, yaml_node_pair_t *pair, struct err *err)
{
    struct config *config = context;
    const yaml_node_t *key = yaml_tree_node(tree, pair->key);
    yaml_node_t *value = yaml_tree_node(tree, pair->value);
    const char *name = yaml_tree_text(key);
    int option = config_find(name, strlen(name));

    if (str_equals(name, "policy")) {
        config->policy_line = yaml_tree_line(key);
        return policy_file_read(&config->policy, tree, value, err);
    }
    if (option < 0)
        return fail_unknown(tree, key, err);
    return set_value(&(struct setting){config, (enum config_option)option, tree, value}, err);
}

static int read_tree(struct config *config, struct yaml_tree *tree, struct err *err)
{
    yaml_node_t *root = yaml_tree_root(tree);

    if (!str_format(config->file, sizeof(config->file), "%s", tree->name))
        return err_set(err, ENAMETOOLONG, "read '%s'", tree->name);
    if (!utf8_is_plain(config->file))
        return err_say(err, EINVAL, "the configuration file's name has control characters");
    return root ? yaml_tree_each(tree, root, read_pair, config, err) : 0;
}

int config_file_load(struct config *config, const char *path, struct err *err)
{
    struct yaml_tree tree;
    int rc = yaml_tree_load(&tree, path, err);

    if (rc < 0)
        return rc;
    rc = read_tree(config, &tree, err);
    yaml_tree_fini(&tree);
    return rc;
}

int config_file_parse(struct config *config, const char *path, const char *text, size_t length,
                      struct err *err)
{
    struct yaml_tree tree;
    int rc = yaml_tree_parse(&tree, path, text, length, err);

    if (rc < 0)
        return rc;
    rc = read_tree(config, &tree, err);
    yaml_tree_fini(&tree);
    return rc;
}
