#include "hypervisor/config_flags.h"

#include "tests/harness.h"

#include <errno.h>
#include <string.h>

static struct config_flags flags;
static struct config config;

#define READ(err, ...) config_flags_read(&flags, (char *[]){__VA_ARGS__, NULL}, (err))

static char *word(const char *text)
{
    static char words[8][64];
    static int next;
    char *place = words[next++ % 8];

    memcpy(place, text, strlen(text) + 1);
    return place;
}

TEST(a_value_stands_behind_the_flag_or_in_it)
{
    struct err err = {0};

    CHECK_OK(READ(&err, word("--node-name"), word("a"), word("--log-level=debug,x=info")), &err);
    config_init(&config);
    CHECK_OK(config_flags_apply(&flags, &config, &err), &err);
    CHECK_STR_EQ(config.node_name, "a");
    CHECK_STR_EQ(config.log_level, "debug,x=info");
    CHECK_EQ(config.sources[CONFIG_log_level].kind, CONFIG_FLAG);
    CHECK_EQ(config.sources[CONFIG_gpu_pool].kind, CONFIG_DEFAULT);
}

TEST(the_last_of_several_counts_and_empty_is_a_value)
{
    struct err err = {0};

    CHECK_OK(READ(&err, word("--node-name=a"), word("--node-name"), word("b"),
                  word("--api-listen-addr=")),
             &err);
    config_init(&config);
    CHECK_OK(config_flags_apply(&flags, &config, &err), &err);
    CHECK_STR_EQ(config.node_name, "b");
    CHECK_STR_EQ(config.api_listen_addr, "");
}

TEST(a_switch_may_have_a_value_and_takes_no_other_word_for_it)
{
    struct err err = {0};

    CHECK_OK(READ(&err, word("--enable-metrics"), word("false"), word("--detect-in-used-gpus"),
                  word("--legacy-api=on"), word("--enable-k8s")),
             &err);
    config_init(&config);
    CHECK_OK(config_flags_apply(&flags, &config, &err), &err);
    CHECK(!config.enable_metrics);
    CHECK(config.detect_in_used_gpus);
    CHECK(config.legacy_api);
    CHECK(config.enable_k8s);
    CHECK_EQ(READ(&err, word("--enable-metrics"), word("maybe")), -EINVAL);
    CHECK(strstr(err.text, "'maybe' is not understood") != NULL);
}

TEST(actions_are_told_from_options)
{
    struct err err = {0};

    CHECK_OK(
        READ(&err, word("--config"), word("/f"), word("--print-config"), word("--check-config")),
        &err);
    CHECK_STR_EQ(flags.file, "/f");
    CHECK(flags.wants_print && flags.wants_check && !flags.wants_help && !flags.wants_version);
    CHECK_OK(READ(&err, word("-h")), &err);
    CHECK(flags.wants_help && !flags.file);
    CHECK_OK(READ(&err, word("--help"), word("--version")), &err);
    CHECK(flags.wants_help && flags.wants_version);
}

TEST(what_is_not_known_is_refused_with_the_nearest)
{
    static const struct {
        const char *word, *words;
    } bad[] = {
        {"--api-soket", "'--api-soket' is not understood; is '--api-socket' meant?"},
        {"--print-confg", "is '--print-config' meant?"},
        {"--zzzzzzzzzzzz", "'--zzzzzzzzzzzz' is not understood (--help)"},
        {"-x", "'-x' is not understood"},
        {"--", "'--' is not understood"},
        {"--=1", "'--=1' is not understood"},
        {"word", "'word' is not understood"},
        {"--help=1", "'--help' takes no value"},
        {"--node-name", "'--node-name' needs a value"},
        {"--config", "'--config' needs a value"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};

        CHECK_EQ(READ(&err, word(bad[i].word)), -EINVAL);
        if (!strstr(err.text, bad[i].words))
            CHECK_STR_EQ(err.text, bad[i].words);
    }
}

TEST(a_bad_value_is_refused_with_its_flag)
{
    struct err err = {0};

    CHECK_OK(READ(&err, word("--sample-interval-ms=7")), &err);
    config_init(&config);
    CHECK_EQ(config_flags_apply(&flags, &config, &err), -EINVAL);
    CHECK(strstr(err.text, "flag --sample-interval-ms: '7' is not between") != NULL);
}
