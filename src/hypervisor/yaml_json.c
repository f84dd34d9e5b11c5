#include "hypervisor/yaml_json.h"

#include "utils/str.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8
#define NODES_MAX 1000

/* An alias may stand for a node that it lies in, or for one that holds many aliases. */
struct conversion {
    struct yaml_tree *tree;
    unsigned int depth, nodes;
    struct err *err;
};

static json_t *convert(struct conversion *conversion, yaml_node_t *node);

/* A plain scalar that is a number, a truth value or null in JSON is that; the rest is text. */
static json_t *convert_scalar(struct conversion *conversion, const yaml_node_t *node)
{
    const char *text = yaml_tree_text(node);
    json_t *value = NULL;

    if (yaml_tree_is_null(node))
        return json_null();
    if (text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!value && text)
        value = json_string(text);
    if (!value)
        (void)yaml_tree_fail(conversion->tree, node, conversion->err, "a value that is no text");
    return value;
}

static json_t *convert_sequence(struct conversion *conversion, yaml_node_t *node)
{
    json_t *array = json_array();

    if (!array)
        (void)err_set(conversion->err, ENOMEM, "read '%s'", conversion->tree->name);
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         array && item < node->data.sequence.items.top; item++) {
        json_t *value = convert(conversion, yaml_tree_node(conversion->tree, *item));

        if (json_array_append_new(array, value) < 0) { /* NULL too */
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

static int add_pair(void *context, struct yaml_tree *tree, yaml_node_pair_t *pair, struct err *err)
{
    struct conversion *conversion = ((void **)context)[0];
    json_t *object = ((void **)context)[1];
    json_t *value = convert(conversion, yaml_tree_node(tree, pair->value));
    const char *key = yaml_tree_text(yaml_tree_node(tree, pair->key));

    return json_object_set_new(object, key, value) < 0 ? -EINVAL : 0;
}

static json_t *convert_mapping(struct conversion *conversion, yaml_node_t *node)
{
    json_t *object = json_object();

    if (!object)
        (void)err_set(conversion->err, ENOMEM, "read '%s'", conversion->tree->name);
    if (object && yaml_tree_each(conversion->tree, node, add_pair, (void *[]){conversion, object},
                                 conversion->err) < 0) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

static json_t *convert(struct conversion *conversion, yaml_node_t *node)
{
    json_t *value;

    if (conversion->depth == DEPTH_MAX || conversion->nodes == NODES_MAX) {
        (void)yaml_tree_fail(conversion->tree, node, conversion->err,
                             "nested deeper than %d levels, or more than %d values", DEPTH_MAX,
                             NODES_MAX);
        return NULL;
    }
    conversion->nodes++;
    conversion->depth++;
    if (node->type == YAML_MAPPING_NODE)
        value = convert_mapping(conversion, node);
    else if (node->type == YAML_SEQUENCE_NODE)
        value = convert_sequence(conversion, node);
    else
        value = convert_scalar(conversion, node);
    conversion->depth--;
    return value;
}

int yaml_json_write(struct yaml_tree *tree, yaml_node_t *node, char **ret_text, struct err *err)
{
    struct conversion conversion = {.tree = tree, .err = err};
    const char *text = yaml_tree_text(node);
    char *line;

    if (text) { /* JSON in quotes, or no object at all: who asked for it judges it */
        line = strdup(text);
    } else {
        json_t *value = convert(&conversion, node);

        if (!value)
            return -EINVAL;
        line = json_dumps(value, JSON_COMPACT);
        json_decref(value);
    }
    if (!line)
        return err_set(err, ENOMEM, "read '%s'", tree->name);
    *ret_text = line;
    return 0;
}
