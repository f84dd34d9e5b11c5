#pragma once
/*
 * yaml_json - a part of a YAML document as JSON, for options whose value is a JSON object: people
 * write it as a text, as they do on the command line, or as a mapping, as YAML has it.
 */
#include "hypervisor/yaml_tree.h"

/* The caller frees the text, which is set on success alone. -EINVAL with words and place. */
int yaml_json_write(struct yaml_tree *tree, yaml_node_t *node, char **ret_text,
                    struct err *err) MUST_CHECK;
