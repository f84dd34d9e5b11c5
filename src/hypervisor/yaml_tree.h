#pragma once
/*
 * yaml_tree - a YAML document as a tree whose nodes know where they stand, and errors that say
 * `file:line:column: words`.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#define YAML_TREE_FILE_MAX (1 << 20) /* bytes of a file at most */

struct yaml_tree {
    yaml_document_t document;
    const char *name; /* of the file, for errors; borrowed */
};

/* One document, or none at all. The caller finishes it. -EINVAL with words. */
int yaml_tree_parse(struct yaml_tree *ret_tree, const char *name, const char *text, size_t length,
                    struct err *err) MUST_CHECK;
/* The same of a file, -ENOENT and so on with words. */
int yaml_tree_load(struct yaml_tree *ret_tree, const char *path, struct err *err) MUST_CHECK;
void yaml_tree_fini(struct yaml_tree *tree);

/* NULL: nothing is written there. */
yaml_node_t *yaml_tree_root(struct yaml_tree *tree);
yaml_node_t *yaml_tree_node(struct yaml_tree *tree, int number);

/* The text of a scalar; NULL for what is none, and for one that holds a NUL. */
const char *yaml_tree_text(const yaml_node_t *node);
/* A plain `null`, `~` or nothing at all. */
bool yaml_tree_is_null(const yaml_node_t *node);

/* Calls back for each pair of a mapping, until that returns other than 0, which is returned. */
typedef int yaml_tree_visit(void *context, struct yaml_tree *tree, yaml_node_pair_t *pair,
                            struct err *err);
/* A key that is no text, or there twice, is -EINVAL; so is a node that is no mapping. */
int yaml_tree_each(struct yaml_tree *tree, yaml_node_t *mapping, yaml_tree_visit *visit,
                   void *context, struct err *err) MUST_CHECK;

unsigned int yaml_tree_line(const yaml_node_t *node); /* from 1 */

/* Fills `err` with where `node` stands and the words; returns -EINVAL. */
int yaml_tree_fail(const struct yaml_tree *tree, const yaml_node_t *node, struct err *err,
                   const char *format, ...) PRINTF_LIKE(4, 5);
