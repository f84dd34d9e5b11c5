#include "hypervisor/yaml_tree.h"

#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "file:line:column" of a mark, which counts from 0. */
static int fail_at(const char *name, yaml_mark_t mark, struct err *err, const char *words)
{
    return err_say(err, EINVAL, "%s:%zu:%zu: %s", name, mark.line + 1, mark.column + 1, words);
}

int yaml_tree_fail(const struct yaml_tree *tree, const yaml_node_t *node, struct err *err,
                   const char *format, ...)
{
    char words[sizeof(err->text)];
    struct str str;
    va_list args;

    str_init(&str, words, sizeof(words));
    va_start(args, format);
    str_add_list(&str, format, args);
    va_end(args);
    return fail_at(tree->name, node->start_mark, err, words);
}

static int fail_parse(const yaml_parser_t *parser, const char *name, struct err *err)
{
    char words[128];

    if (parser->error == YAML_MEMORY_ERROR)
        return err_set(err, ENOMEM, "read '%s'", name);
    if (parser->error == YAML_READER_ERROR)
        return err_say(err, EINVAL, "%s: byte %zu: %s", name, parser->problem_offset,
                       parser->problem);
    (void)str_format(words, sizeof(words), "%s%s%s", parser->context ? parser->context : "",
                     parser->context ? ": " : "", parser->problem ? parser->problem : "not YAML");
    return fail_at(name, parser->problem_mark, err, words);
}

/* What follows the document has to be nothing. */
static int expect_end(yaml_parser_t *parser, const char *name, struct err *err)
{
    yaml_document_t more;
    yaml_node_t *root;
    int rc = 0;

    if (!yaml_parser_load(parser, &more))
        return fail_parse(parser, name, err);
    root = yaml_document_get_root_node(&more);
    if (root)
        rc = fail_at(name, root->start_mark, err, "a second document, where one is expected");
    yaml_document_delete(&more);
    return rc;
}

int yaml_tree_parse(struct yaml_tree *ret_tree, const char *name, const char *text, size_t length,
                    struct err *err)
{
    struct yaml_tree tree = {.name = name};
    yaml_parser_t parser;
    int rc = 0;

    if (!yaml_parser_initialize(&parser))
        return err_set(err, ENOMEM, "read '%s'", name);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    if (!yaml_parser_load(&parser, &tree.document)) {
        rc = fail_parse(&parser, name, err);
    } else if (yaml_document_get_root_node(&tree.document)) {
        rc = expect_end(&parser, name, err);
        if (rc < 0)
            yaml_document_delete(&tree.document);
    }
    yaml_parser_delete(&parser);
    if (!rc)
        *ret_tree = tree;
    return rc;
}

int yaml_tree_load(struct yaml_tree *ret_tree, const char *path, struct err *err)
{
    CLEANUP_FREE char *text = malloc(YAML_TREE_FILE_MAX + 2);
    ssize_t length;

    if (!text)
        return err_set(err, ENOMEM, "read '%s'", path);
    length = file_read(path, text, YAML_TREE_FILE_MAX + 2, err);
    if (length < 0)
        return (int)length;
    if (length > YAML_TREE_FILE_MAX)
        return err_say(err, EFBIG, "'%s' is longer than %d bytes", path, YAML_TREE_FILE_MAX);
    return yaml_tree_parse(ret_tree, path, text, (size_t)length, err);
}

void yaml_tree_fini(struct yaml_tree *tree)
{
    yaml_document_delete(&tree->document);
}

yaml_node_t *yaml_tree_root(struct yaml_tree *tree)
{
    yaml_node_t *root = yaml_document_get_root_node(&tree->document);

    return root && !yaml_tree_is_null(root) ? root : NULL;
}

yaml_node_t *yaml_tree_node(struct yaml_tree *tree, int number)
{
    return yaml_document_get_node(&tree->document, number);
}

const char *yaml_tree_text(const yaml_node_t *node)
{
    const char *text;

    if (node->type != YAML_SCALAR_NODE)
        return NULL;
    text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

bool yaml_tree_is_null(const yaml_node_t *node)
{
    const char *text = yaml_tree_text(node);

    return text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*text || str_equals(text, "~") || str_equals(text, "null"));
}

unsigned int yaml_tree_line(const yaml_node_t *node)
{
    return (unsigned int)node->start_mark.line + 1;
}

static int check_key(struct yaml_tree *tree, yaml_node_t *mapping, const yaml_node_pair_t *pair,
                     struct err *err)
{
    const yaml_node_t *key = yaml_tree_node(tree, pair->key);
    const char *text = yaml_tree_text(key);

    if (!text)
        return yaml_tree_fail(tree, key, err, "a key that is no text");
    for (yaml_node_pair_t *before = mapping->data.mapping.pairs.start; before < pair; before++)
        if (str_equals(yaml_tree_text(yaml_tree_node(tree, before->key)), text))
            return yaml_tree_fail(tree, key, err, "'%s' is there twice", text);
    return 0;
}

int yaml_tree_each(struct yaml_tree *tree, yaml_node_t *mapping, yaml_tree_visit *visit,
                   void *context, struct err *err)
{
    int rc = 0;

    if (mapping->type != YAML_MAPPING_NODE)
        return yaml_tree_fail(tree, mapping, err, "expected are lines such as 'key: value'");
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         !rc && pair < mapping->data.mapping.pairs.top; pair++) {
        rc = check_key(tree, mapping, pair, err);
        if (!rc)
            rc = visit(context, tree, pair, err);
    }
    return rc;
}
