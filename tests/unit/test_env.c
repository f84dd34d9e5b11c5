#include "utils/env.h"

#include "tests/harness.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TEST(a_variable_is_read_as_it_stands_now)
{
    CHECK_EQ(setenv("VGPU_TENANT", "alpha", 1), 0);
    CHECK_STR_EQ(env_get(ENV_VGPU_TENANT), "alpha");
    CHECK_EQ(setenv("VGPU_TENANT", "beta", 1), 0);
    CHECK_STR_EQ(env_get(ENV_VGPU_TENANT), "beta");
    CHECK_EQ(unsetenv("VGPU_TENANT"), 0);
    CHECK(env_get(ENV_VGPU_TENANT) == NULL);
}

TEST(an_empty_variable_counts_as_not_set)
{
    CHECK_EQ(setenv("VGPU_LOG", "", 1), 0);
    CHECK(env_get(ENV_VGPU_LOG) == NULL);
    CHECK_EQ(unsetenv("VGPU_LOG"), 0);
}

TEST(a_longer_name_or_one_without_value_is_another_variable)
{
    static char longer[] = "VGPU_LOGS=debug", bare[] = "VGPU_LOG", wanted[] = "VGPU_LOG=a=b";
    static char *list[] = {longer, bare, NULL, NULL};
    char **saved = environ;

    environ = list;
    CHECK(env_get(ENV_VGPU_LOG) == NULL);
    list[2] = wanted;
    CHECK_STR_EQ(env_get(ENV_VGPU_LOG), "a=b");
    environ = NULL;
    CHECK(env_get(ENV_VGPU_LOG) == NULL);
    environ = saved;
}

TEST(every_row_has_a_name_of_ours_and_words)
{
    for (int i = 0; i < ENV_COUNT; i++) {
        const struct env_row *row = env_describe((enum env_variable)i);

        CHECK(strncmp(row->name, "VGPU_", 5) == 0);
        CHECK(strlen(row->words) > 10);
        CHECK(row->otherwise != NULL);
    }
    CHECK(env_describe(ENV_COUNT) == NULL);
    CHECK(env_get(ENV_COUNT) == NULL);
}
