#include "hypervisor/pod_name.h"

#include "tests/harness.h"

#include <string.h>

TEST(what_could_be_a_path_is_no_name)
{
    static const char *const bad[] = {
        "",      ".", "..",   "a/b",  "/a", "../a",  "a/..",  ".hidden", "-rf", "a b", "a\nb",
        "a%2fb", "ä", "a\\b", "a\"b", "_a", "a\x7f", "a\x01", "*",       "~",   "a:b",
    };
    struct pod_name pod = {.name = "kept"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!pod_name_is_part(bad[i], sizeof(pod.name)));
        CHECK(!pod_name_set(&pod, bad[i], "pod"));
        CHECK(!pod_name_set(&pod, "space", bad[i]));
    }
    CHECK_STR_EQ(pod.name, "kept");
}

TEST(names_have_the_lengths_of_kubernetes)
{
    struct pod_name pod, other;
    char text[300];

    memset(text, 'a', sizeof(text));
    CHECK(!pod_name_is_part(text, sizeof(pod.name))); /* not ended at all */
    text[253] = '\0';
    CHECK(pod_name_set(&pod, "kube-system", text));
    CHECK(!pod_name_set(&other, text, "p"));
    text[63] = '\0';
    CHECK(pod_name_set(&other, text, "my-pod.0_A"));
    CHECK(pod_name_equals(&other, &other));
    CHECK(!pod_name_equals(&pod, &other));
}
