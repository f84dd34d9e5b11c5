#include "hypervisor/policy_file.h"

#include "hypervisor/config_value.h"
#include "hypervisor/nearest.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_SIZE (1 << 16) /* of a user or a group with all its members */

static const struct rule_row {
    const char *key;
    struct config_value_type type;
    size_t offset;
} rows[] = {
#define RULE(key, member, kind, argument, help)                                                    \
    {#key,                                                                                         \
     {CONFIG_VALUE_##kind, sizeof(((struct policy_rule *)0)->member), argument},                   \
     offsetof(struct policy_rule, member)},
#include "hypervisor/policy.def"
};

static const struct config_value_type name_type = {CONFIG_VALUE_TEXT,
                                                   sizeof(((struct policy_rule *)0)->name), "NAME"};

/* --- reading --- */

/* As of getpwnam_r(), whose manual names these for names that there are not. */
static bool is_failure(int reason)
{
    return reason && reason != ENOENT && reason != ESRCH && reason != EBADF && reason != EPERM;
}

/*
 * A number or a name of a user or group; -ENOENT: there is none. -EAGAIN: who knows was not there
 * to be asked.
 */
static int find_id(enum policy_who who, const char *name, uint32_t *ret_id)
{
    CLEANUP_FREE char *buffer = malloc(ENTRY_SIZE);
    struct passwd user, *found_user = NULL;
    struct group group, *found_group = NULL;
    uint64_t number;
    int reason;

    if (parse_u64(&number, name, 0, UINT32_MAX - 1, NULL) == 0) {
        *ret_id = (uint32_t)number;
        return 0;
    }
    if (!buffer)
        return -ENOMEM;
    if (who == POLICY_USER)
        reason = getpwnam_r(name, &user, buffer, ENTRY_SIZE, &found_user);
    else
        reason = getgrnam_r(name, &group, buffer, ENTRY_SIZE, &found_group);
    if (is_failure(reason))
        return -EAGAIN;
    if (!found_user && !found_group)
        return -ENOENT;
    *ret_id = found_user ? found_user->pw_uid : found_group->gr_gid;
    return 0;
}

struct reading {
    struct policy_rule rule;
    bool has_who;
};

static int read_who(struct reading *reading, struct yaml_tree *tree, const yaml_node_t *value,
                    const char *key, struct err *err)
{
    const char *text = yaml_tree_text(value);
    struct policy_rule *rule = &reading->rule;
    struct err reason;
    int rc;

    if (!text || !*text || config_value_read(&name_type, text, rule->name, &reason) < 0)
        return yaml_tree_fail(tree, value, err, "'%s' has to name somebody", key);
    rule->who = str_equals(key, "user") ? POLICY_USER : POLICY_GROUP;
    rc = find_id(rule->who, text, &rule->id);
    if (rc == -ENOENT)
        return yaml_tree_fail(tree, value, err, "there is no %s '%s' on this machine", key, text);
    if (rc < 0) {
        (void)yaml_tree_fail(tree, value, &reason, "%s '%s' cannot be looked up now", key, text);
        return err_say(err, -rc, "%s", reason.text);
    }
    return 0;
}

static int read_everyone(struct reading *reading, struct yaml_tree *tree, const yaml_node_t *value,
                         struct err *err)
{
    const char *text = yaml_tree_text(value);

    if (!text || !str_equals(text, "true"))
        return yaml_tree_fail(tree, value, err, "'everyone' can only be true");
    reading->rule.who = POLICY_EVERYONE;
    return 0;
}

static int read_bound(struct reading *reading, struct yaml_tree *tree, const yaml_node_pair_t *pair,
                      struct err *err)
{
    const yaml_node_t *key = yaml_tree_node(tree, pair->key);
    const yaml_node_t *value = yaml_tree_node(tree, pair->value);
    const char *name = yaml_tree_text(key), *text = yaml_tree_text(value);
    struct nearest nearest;
    struct err reason;

    nearest_begin(&nearest, name);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        nearest_offer(&nearest, rows[i].key);
        if (!str_equals(rows[i].key, name))
            continue;
        if (!text)
            return yaml_tree_fail(tree, value, err, "'%s' is %s", name, rows[i].type.argument);
        if (config_value_read(&rows[i].type, text, (char *)&reading->rule + rows[i].offset,
                              &reason) < 0)
            return yaml_tree_fail(tree, value, err, "%s: %s", name, reason.text);
        return 0;
    }
    if (nearest_get(&nearest))
        return yaml_tree_fail(tree, key, err, "a rule has no '%s'; is '%s' meant?", name,
                              nearest_get(&nearest));
    return yaml_tree_fail(tree, key, err, "a rule has no '%s'", name);
}

static int read_pair(void *context, struct yaml_tree *tree, yaml_node_pair_t *pair, struct err *err)
{
    struct reading *reading = context;
    const yaml_node_t *value = yaml_tree_node(tree, pair->value);
    const yaml_node_t *key = yaml_tree_node(tree, pair->key);
    const char *name = yaml_tree_text(key);
    bool is_everyone = str_equals(name, "everyone");

    if (!is_everyone && !str_equals(name, "user") && !str_equals(name, "group"))
        return read_bound(reading, tree, pair, err);
    if (reading->has_who)
        return yaml_tree_fail(tree, key, err, "a rule is for a user, a group or everyone: for one");
    reading->has_who = true;
    return is_everyone ? read_everyone(reading, tree, value, err)
                       : read_who(reading, tree, value, name, err);
}

static int read_rule(struct policy *policy, struct yaml_tree *tree, yaml_node_t *node,
                     struct err *err)
{
    struct reading reading = {.rule = {.priority = REGION_HIGH, .may_be_unlimited = true}};
    int rc;

    if (policy->count == POLICY_RULES_MAX)
        return yaml_tree_fail(tree, node, err, "more than %d rules", POLICY_RULES_MAX);
    rc = yaml_tree_each(tree, node, read_pair, &reading, err);
    if (rc < 0)
        return rc;
    if (!reading.has_who)
        return yaml_tree_fail(tree, node, err,
                              "the rule does not say whom it is for: user, group or everyone");
    reading.rule.line = yaml_tree_line(node);
    policy->rules[policy->count++] = reading.rule;
    return 0;
}

int policy_file_read(struct policy *ret_policy, struct yaml_tree *tree, yaml_node_t *node,
                     struct err *err)
{
    struct policy policy = {0};
    int rc = 0;

    if (!yaml_tree_is_null(node) && node->type != YAML_SEQUENCE_NODE)
        return yaml_tree_fail(tree, node, err, "the policy is a list of rules ('- user: ...')");
    if (!yaml_tree_is_null(node))
        for (yaml_node_item_t *item = node->data.sequence.items.start;
             !rc && item < node->data.sequence.items.top; item++)
            rc = read_rule(&policy, tree, yaml_tree_node(tree, *item), err);
    if (!rc)
        *ret_policy = policy;
    return rc;
}

/* --- writing --- */

void policy_file_write(struct str *str, const struct policy_rule *rule)
{
    const struct policy_rule nothing = {.priority = REGION_HIGH, .may_be_unlimited = true};

    if (rule->who == POLICY_EVERYONE) {
        str_add(str, "{everyone: true");
    } else {
        str_add(str, "{%s: ", rule->who == POLICY_USER ? "user" : "group");
        config_value_write(str, &name_type, rule->name);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const char *value = (const char *)rule + rows[i].offset;

        if (config_value_equals(&rows[i].type, value, (const char *)&nothing + rows[i].offset))
            continue;
        str_add(str, ", %s: ", rows[i].key);
        config_value_write(str, &rows[i].type, value);
    }
    str_add(str, "}");
}
