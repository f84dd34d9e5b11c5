#include "hypervisor/tenant_pod.h"

#include "tests/harness.h"
#include "utils/str.h"

#include <string.h>
#include <unistd.h>

static struct snapshot_tenant make_tenant(const char *name)
{
    struct snapshot_tenant tenant = {.uid = 0};

    CHECK(str_format(tenant.name, sizeof(tenant.name), "%s", name));
    return tenant;
}

static bool is_pod(const struct snapshot_tenant *tenant)
{
    struct pod_name pod;

    return tenant_pod_name(NULL, tenant, &pod);
}

TEST(the_first_dot_divides_namespace_and_pod)
{
    static const struct {
        const char *tenant, *namespace, *pod;
    } cases[] = {
        {"default.worker-1", "default", "worker-1"},
        {"kube-system.node.local-0", "kube-system", "node.local-0"},
        {"a.b", "a", "b"},
        {"a.b..c", "a", "b..c"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct snapshot_tenant tenant = make_tenant(cases[i].tenant);
        struct pod_name pod;

        CHECK(tenant_pod_name(NULL, &tenant, &pod));
        CHECK_STR_EQ(pod.namespace, cases[i].namespace);
        CHECK_STR_EQ(pod.name, cases[i].pod);
    }
}

TEST(other_names_are_no_pods)
{
    static const char *const names[] = {"", "training", ".", ".a", "a.", "a..b", "a.-b", "a._"};
    struct pod_name pod = {.name = "kept"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct snapshot_tenant tenant = make_tenant(names[i]);

        CHECK(!tenant_pod_name(NULL, &tenant, &pod));
    }
    CHECK_STR_EQ(pod.name, "kept");
}

TEST(the_longest_name_is_a_pod)
{
    struct snapshot_tenant tenant = make_tenant("n.");

    memset(tenant.name + 2, 'p', sizeof(tenant.name) - 3);
    CHECK(is_pod(&tenant));
    memset(tenant.name, 'p', sizeof(tenant.name) - 1);
    CHECK(!is_pod(&tenant));
    tenant.name[sizeof(tenant.name) - 3] = '.';
    CHECK(is_pod(&tenant));
}

TEST(only_what_an_operator_has_made_is_a_pod)
{
    struct snapshot_tenant tenant = make_tenant("default.worker-1");

    CHECK(is_pod(&tenant));
    tenant.uid = geteuid();
    CHECK(is_pod(&tenant));
    tenant.uid = geteuid() + 1;
    CHECK(!is_pod(&tenant));
    tenant.uid = SNAPSHOT_NO_UID;
    CHECK(!is_pod(&tenant));
    tenant.uid = 0;
    tenant.is_standalone = true;
    CHECK(!is_pod(&tenant));
}
