#pragma once
/*
 * policy_file - the rules of policy.h as they are written in the configuration file.
 */
#include "hypervisor/policy.h"
#include "hypervisor/yaml_tree.h"
#include "utils/str.h"

/*
 * Reads the list `node`; nothing (null): no rules. Users and groups that have a name are looked up
 * now: who is added to the machine later is known after the next reading. -EINVAL with place and
 * words; -EAGAIN where a name could not be looked up, which says nothing about it.
 */
int policy_file_read(struct policy *ret_policy, struct yaml_tree *tree, yaml_node_t *node,
                     struct err *err) MUST_CHECK;

/* The rule as YAML in one line, without the dash before it and the newline after it. */
void policy_file_write(struct str *str, const struct policy_rule *rule);
