#include "hypervisor/policy_file.h"

#include "tests/harness.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

static struct policy policy;

/* The C library's: a directory service that is down for one name, and knows nobody of others. */
int getpwnam_r(const char *name, struct passwd *user, char *buffer, size_t size,
               struct passwd **ret_user)
{
    static const int reasons[] = {ENOENT, ESRCH, EBADF, EPERM};

    (void)buffer;
    (void)size;
    *ret_user = str_equals(name, "root") ? user : NULL;
    user->pw_uid = 0;
    if (strncmp(name, "reason-", 7) == 0)
        return reasons[name[7] - '0'];
    return str_equals(name, "in-the-directory") ? EIO : 0;
}

static int read_it(const char *text, struct err *err)
{
    struct yaml_tree tree;
    int rc;

    CHECK_OK(yaml_tree_parse(&tree, "f.yaml", text, strlen(text), err), err);
    rc = policy_file_read(&policy, &tree, yaml_document_get_root_node(&tree.document), err);
    yaml_tree_fini(&tree);
    return rc;
}

static const char *written(size_t rule)
{
    static char text[512];
    struct str str;

    str_init(&str, text, sizeof(text));
    policy_file_write(&str, &policy.rules[rule]);
    return text;
}

TEST(rules_are_read_in_their_order_and_written_as_they_are_read)
{
    struct err err = {0};

    CHECK_OK(read_it("- user: root\n"
                     "  exceed: true\n"
                     "- {user: 1000, memory: 40%, compute: 50%, weight: 10, priority: normal}\n"
                     "- {group: root, memory: 8GiB, tenants: 3, unlimited_memory: false}\n"
                     "- {everyone: true, deny: true}\n",
                     &err),
             &err);
    CHECK_EQ(policy.count, 4);
    CHECK_STR_EQ(written(0), "{user: \"root\", exceed: true}");
    CHECK_STR_EQ(written(1), "{user: \"1000\", memory: 40%, compute: 50%, weight: 10, "
                             "priority: \"normal\"}");
    CHECK_STR_EQ(written(2),
                 "{group: \"root\", memory: 8GiB, tenants: 3, unlimited_memory: false}");
    CHECK_STR_EQ(written(3), "{everyone: true, deny: true}");
    CHECK_EQ(policy.rules[0].who, POLICY_USER);
    CHECK_EQ(policy.rules[0].id, 0);
    CHECK_EQ(policy.rules[0].line, 1);
    CHECK_EQ(policy.rules[1].id, 1000);
    CHECK_EQ(policy.rules[1].line, 3);
    CHECK_EQ(policy.rules[2].who, POLICY_GROUP);
    CHECK_EQ(policy.rules[2].priority, REGION_HIGH);
    CHECK_EQ(policy.rules[3].who, POLICY_EVERYONE);
}

TEST(no_rules_are_fine)
{
    struct err err = {0};

    policy.count = 3;
    CHECK_OK(read_it("[]", &err), &err);
    CHECK_EQ(policy.count, 0);
    policy.count = 3;
    CHECK_OK(read_it("~", &err), &err);
    CHECK_EQ(policy.count, 0);
}

TEST(mistakes_are_refused_with_their_place_and_leave_the_policy_alone)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"user: root", "f.yaml:1:1: the policy is a list"},
        {"- root", "f.yaml:1:3: expected are lines"},
        {"- memory: 1GiB", "f.yaml:1:3: the rule does not say whom"},
        {"- user: no-such-user-here", "f.yaml:1:9: there is no user 'no-such-user-here'"},
        {"- group: no-such-group-here", "there is no group 'no-such-group-here'"},
        {"- user: 4294967295", "there is no user"},
        {"- user: ''", "'user' has to name somebody"},
        {"- user: [a]", "'user' has to name somebody"},
        {"- everyone: false", "'everyone' can only be true"},
        {"- user: root\n  group: root", "f.yaml:2:3: a rule is for a user, a group or everyone"},
        {"- user: root\n  memroy: 1GiB", "f.yaml:2:3: a rule has no 'memroy'; is 'memory' meant?"},
        {"- user: root\n  gigawatts: 1", "f.yaml:2:3: a rule has no 'gigawatts'"},
        {"- user: root\n  memory: much", "f.yaml:2:11: memory: 'much' is not a size"},
        {"- user: root\n  compute: 0", "compute: '0' is not above 0"},
        {"- user: root\n  weight: 1001", "weight: '1001' is not between 1 and 1000"},
        {"- user: root\n  priority: urgent", "priority: 'urgent' is none of low|normal|high"},
        {"- user: root\n  tenants: 0", "tenants: '0' is not between"},
        {"- user: root\n  exceed: maybe", "exceed: 'maybe' is neither true nor false"},
        {"- user: root\n  deny: {}", "'deny' is BOOLEAN"},
        {"- user: root\n  deny: true\n  deny: true", "f.yaml:3:3: 'deny' is there twice"},
    };

    policy.count = 3;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};

        CHECK_EQ(read_it(bad[i].text, &err), -EINVAL);
        if (!strstr(err.text, bad[i].words))
            CHECK_STR_EQ(err.text, bad[i].words);
    }
    CHECK_EQ(policy.count, 3);
}

TEST(there_are_only_so_many_rules)
{
    static char text[POLICY_RULES_MAX * 24 + 64];
    struct err err = {0};
    struct str str;

    str_init(&str, text, sizeof(text));
    for (int i = 0; i <= POLICY_RULES_MAX; i++)
        str_add(&str, "- everyone: true\n");
    CHECK_EQ(read_it(text, &err), -EINVAL);
    CHECK(strstr(err.text, "f.yaml:257:3: more than 256 rules") != NULL);
}

/* The daemon is started again then, instead of staying away for a bad configuration. */
TEST(a_name_that_cannot_be_looked_up_now_is_no_mistake_of_the_file)
{
    struct err err = {0};

    CHECK_EQ(read_it("- user: in-the-directory", &err), -EAGAIN);
    CHECK_EQ(err.code, EAGAIN);
    CHECK_STR_EQ(err.text, "f.yaml:1:9: user 'in-the-directory' cannot be looked up now");
    CHECK_EQ(read_it("- user: reason-0", &err), -EINVAL);
    CHECK_EQ(read_it("- user: reason-1", &err), -EINVAL);
    CHECK_EQ(read_it("- user: reason-2", &err), -EINVAL);
    CHECK_EQ(read_it("- user: reason-3", &err), -EINVAL);
}
