#include "bootstrap/bootstrap_options.h"

#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *const no_words[] = {NULL};

static void forget_variables(void)
{
    unsetenv("DISABLE_GPU_LIMITER");
    unsetenv("RUN_INSIDE_GPU_NODE");
}

TEST(the_defaults_are_the_paths_that_pods_have)
{
    struct bootstrap_options options;
    struct err err;

    forget_variables();
    CHECK_OK(bootstrap_options_read(&options, no_words, &err), &err);
    CHECK_STR_EQ(options.source, "/home/app");
    CHECK_STR_EQ(options.target, "/tensor-fusion");
    CHECK_STR_EQ(options.conf, "/tensor-fusion-conf");
    CHECK_STR_EQ(options.nvidia_smi, "nvidia-smi-linux");
    CHECK(!options.has_no_limiter && !options.is_gpu_node && !options.may_downgrade);
    CHECK(!options.is_dry_run && !options.is_undo && !options.has_named_source);
}

TEST(the_variables_count_where_they_say_true)
{
    struct bootstrap_options options;
    struct err err;

    setenv("DISABLE_GPU_LIMITER", "true", 1);
    setenv("RUN_INSIDE_GPU_NODE", "true", 1);
    CHECK_OK(bootstrap_options_read(&options, no_words, &err), &err);
    CHECK(options.has_no_limiter && options.is_gpu_node);
    setenv("DISABLE_GPU_LIMITER", "1", 1);
    setenv("RUN_INSIDE_GPU_NODE", "", 1);
    CHECK_OK(bootstrap_options_read(&options, no_words, &err), &err);
    CHECK(!options.has_no_limiter && !options.is_gpu_node);
    forget_variables();
}

TEST(each_option_has_its_effect)
{
    struct bootstrap_options options;
    struct err err;

    forget_variables();
    CHECK_OK(bootstrap_options_read(&options,
                                    WORDS("--source", "s", "--target=/t", "--conf", "/c",
                                          "--nvidia-smi=n", "--no-limiter", "--gpu-node",
                                          "--downgrade", "--dry-run", "--undo"),
                                    &err),
             &err);
    CHECK_STR_EQ(options.source, "s");
    CHECK_STR_EQ(options.target, "/t");
    CHECK_STR_EQ(options.conf, "/c");
    CHECK_STR_EQ(options.nvidia_smi, "n");
    CHECK(options.has_no_limiter && options.is_gpu_node && options.may_downgrade);
    CHECK(options.is_dry_run && options.is_undo && options.has_named_source);
}

TEST(what_is_not_understood_or_would_not_work_is_refused)
{
    struct bootstrap_options options = {.source = "untouched"};

    CHECK_EQ(bootstrap_options_read(&options, WORDS("--sauce", "x"), NULL), -EINVAL);
    CHECK_EQ(bootstrap_options_read(&options, WORDS("x"), NULL), -EINVAL);
    CHECK_EQ(bootstrap_options_read(&options, WORDS("--"), NULL), -EINVAL);
    CHECK_EQ(bootstrap_options_read(&options, WORDS("--undo=yes"), NULL), -EINVAL);
    CHECK_EQ(bootstrap_options_read(&options, WORDS("--target"), NULL), -EINVAL);
    CHECK_EQ(bootstrap_options_read(&options, WORDS("--target", "t"), NULL), -EINVAL);
    CHECK_EQ(bootstrap_options_read(&options, WORDS("--target", "/a b"), NULL), -EINVAL);
    CHECK_EQ(bootstrap_options_read(&options, WORDS("--target", "/a:b"), NULL), -EINVAL);
    CHECK_EQ(bootstrap_options_read(&options, WORDS("--target", "/a\nb"), NULL), -EINVAL);
    CHECK_EQ(bootstrap_options_read(&options, WORDS("--target", "/a#b"), NULL), -EINVAL);
    CHECK_EQ(bootstrap_options_read(&options, WORDS("--conf="), NULL), -EINVAL);
    CHECK_EQ(bootstrap_options_read(&options, WORDS("--source="), NULL), -EINVAL);
    CHECK_STR_EQ(options.source, "untouched");
}
