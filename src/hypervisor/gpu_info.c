#include "hypervisor/gpu_info.h"

#include "hypervisor/yaml_tree.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#define STANDARD_PATH "gpu-info.yaml" /* where existing deployments have it */
#define NAME_SIZE     96
#define ENTRIES_MAX   4096

struct entry {
    char model[NAME_SIZE], full_name[NAME_SIZE]; /* empty: not given */
    double tflops;                               /* below 0: not given */
};

struct gpu_info {
    size_t count;
    struct entry entries[];
};

static int read_name(char *ret_name, struct yaml_tree *tree, const yaml_node_t *node,
                     struct err *err)
{
    const char *text = yaml_tree_text(node);

    if (!text || !str_format(ret_name, NAME_SIZE, "%s", text))
        return yaml_tree_fail(tree, node, err, "not a model's name");
    return 0;
}

/* JSON's numbers are YAML's that occur here, and never of a locale. */
static int read_tflops(double *ret_tflops, struct yaml_tree *tree, const yaml_node_t *node,
                       struct err *err)
{
    const char *text = yaml_tree_text(node);
    json_t *number = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    double value = json_is_number(number) ? json_number_value(number) : -1;

    json_decref(number);
    if (value < 0)
        return yaml_tree_fail(tree, node, err, "fp16TFlops is not a number from 0");
    *ret_tflops = value;
    return 0;
}

static int read_pair(void *context, struct yaml_tree *tree, yaml_node_pair_t *pair, struct err *err)
{
    const char *key = yaml_tree_text(yaml_tree_node(tree, pair->key));
    const yaml_node_t *value = yaml_tree_node(tree, pair->value);
    struct entry *entry = context;

    if (str_equals(key, "model"))
        return read_name(entry->model, tree, value, err);
    if (str_equals(key, "fullModelName"))
        return read_name(entry->full_name, tree, value, err);
    return str_equals(key, "fp16TFlops") ? read_tflops(&entry->tflops, tree, value, err) : 0;
}

static int read_entries(struct gpu_info *info, struct yaml_tree *tree, const yaml_node_t *list,
                        struct err *err)
{
    int rc = 0;

    for (yaml_node_item_t *item = list->data.sequence.items.start;
         !rc && item < list->data.sequence.items.top; item++) {
        struct entry *entry = &info->entries[info->count++];
        yaml_node_t *node = yaml_tree_node(tree, *item);

        entry->tflops = -1;
        rc = yaml_tree_each(tree, node, read_pair, entry, err);
        if (!rc && !entry->model[0] && !entry->full_name[0])
            rc = yaml_tree_fail(tree, node, err, "the entry has neither model nor fullModelName");
    }
    return rc;
}

static int read_tree(struct gpu_info **ret_info, struct yaml_tree *tree, struct err *err)
{
    yaml_node_t *root = yaml_tree_root(tree);
    struct gpu_info *info;
    size_t count = 0;
    int rc = 0;

    if (root && root->type != YAML_SEQUENCE_NODE)
        return yaml_tree_fail(tree, root, err, "expected is a list of models ('- model: ...')");
    if (root)
        count = (size_t)(root->data.sequence.items.top - root->data.sequence.items.start);
    if (count > ENTRIES_MAX)
        return yaml_tree_fail(tree, root, err, "more than %d models", ENTRIES_MAX);
    info = calloc(1, sizeof(*info) + count * sizeof(info->entries[0]));
    if (!info)
        return err_set(err, ENOMEM, "read '%s'", tree->name);
    if (root)
        rc = read_entries(info, tree, root, err);
    if (rc < 0)
        gpu_info_free(info);
    else
        *ret_info = info;
    return rc;
}

int gpu_info_load(struct gpu_info **ret_info, const char *path, struct err *err)
{
    struct yaml_tree tree;
    int rc = yaml_tree_load(&tree, path, err);

    if (rc < 0)
        return rc;
    rc = read_tree(ret_info, &tree, err);
    yaml_tree_fini(&tree);
    return rc;
}

int gpu_info_parse(struct gpu_info **ret_info, const char *name, const char *text, size_t length,
                   struct err *err)
{
    struct yaml_tree tree;
    int rc = yaml_tree_parse(&tree, name, text, length, err);

    if (rc < 0)
        return rc;
    rc = read_tree(ret_info, &tree, err);
    yaml_tree_fini(&tree);
    return rc;
}

struct gpu_info *gpu_info_open(const char *path)
{
    struct gpu_info *info = NULL;
    struct err err;
    int rc = gpu_info_load(&info, *path ? path : STANDARD_PATH, &err);

    if (rc < 0 && (*path || rc != -ENOENT))
        log_warn("what GPUs can do is not known, going on without: %s", err.text);
    return rc < 0 ? NULL : info;
}

void gpu_info_free(struct gpu_info *info)
{
    free(info);
}

int gpu_info_find(const struct gpu_info *info, const char *model, double *ret_tflops)
{
    for (size_t i = 0; info && *model && i < info->count; i++) {
        const struct entry *entry = &info->entries[i];

        if (entry->tflops < 0 ||
            (!str_equals(entry->model, model) && !str_equals(entry->full_name, model)))
            continue;
        *ret_tflops = entry->tflops;
        return 0;
    }
    return -ENOENT;
}
