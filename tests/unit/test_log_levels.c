#include "hypervisor/log_levels.h"

#include "tests/harness.h"
#include "utils/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct log_levels parse(const char *text)
{
    struct log_levels levels = {.standard = 99};
    struct err err = {0};

    CHECK_OK(log_levels_parse(&levels, text, &err), &err);
    return levels;
}

TEST(a_level_alone_is_for_everybody)
{
    struct log_levels levels = parse("warn");

    CHECK(log_levels_want(&levels, LOG_LEVEL_WARN, "../src/hypervisor/node.c"));
    CHECK(!log_levels_want(&levels, LOG_LEVEL_INFO, "../src/hypervisor/node.c"));
    levels = parse("");
    CHECK(log_levels_want(&levels, LOG_LEVEL_INFO, "x.c"));
    CHECK(!log_levels_want(&levels, LOG_LEVEL_DEBUG, "x.c"));
    levels = parse(" OFF ");
    CHECK(!log_levels_want(&levels, LOG_LEVEL_ERROR, "x.c"));
    CHECK_EQ(log_levels_highest(&levels), LOG_LEVELS_OFF);
}

TEST(a_name_is_a_module_a_family_of_modules_or_a_folder)
{
    struct log_levels levels = parse("warn, http=debug,supervisor=info ,http_events=error");

    CHECK(log_levels_want(&levels, LOG_LEVEL_DEBUG, "../src/hypervisor/http.c"));
    CHECK(log_levels_want(&levels, LOG_LEVEL_DEBUG, "../src/hypervisor/http_server.c"));
    CHECK(!log_levels_want(&levels, LOG_LEVEL_DEBUG, "../src/hypervisor/httpd.c"));
    CHECK(log_levels_want(&levels, LOG_LEVEL_DEBUG, "http"));
    CHECK(log_levels_want(&levels, LOG_LEVEL_INFO, "../src/supervisor/tenant.c"));
    CHECK(!log_levels_want(&levels, LOG_LEVEL_DEBUG, "../src/supervisor/tenant.c"));
    CHECK(!log_levels_want(&levels, LOG_LEVEL_INFO, "../src/othersupervisor/tenant.c"));
    CHECK(!log_levels_want(&levels, LOG_LEVEL_WARN, "../src/hypervisor/http_events.c"));
    CHECK_EQ(log_levels_highest(&levels), LOG_LEVEL_DEBUG);
}

TEST(the_rule_that_says_most_decides_whatever_the_order)
{
    struct log_levels levels = parse("http_server=error,http=debug,hypervisor=warn,info");

    CHECK(!log_levels_want(&levels, LOG_LEVEL_WARN, "src/hypervisor/http_server.c"));
    CHECK(log_levels_want(&levels, LOG_LEVEL_DEBUG, "src/hypervisor/http_other.c"));
    CHECK(!log_levels_want(&levels, LOG_LEVEL_INFO, "src/hypervisor/node.c"));
    CHECK(log_levels_want(&levels, LOG_LEVEL_INFO, "src/utils/file.c"));
    levels = parse("http=error,http=info");
    CHECK_EQ(levels.count, 1);
    CHECK(log_levels_want(&levels, LOG_LEVEL_INFO, "http"));
}

TEST(trace_of_other_programs_is_debug)
{
    struct log_levels levels = parse("hypervisor::core=trace,error");

    CHECK_EQ(levels.standard, LOG_LEVEL_ERROR);
    CHECK_EQ(log_levels_highest(&levels), LOG_LEVEL_DEBUG);
}

/* The text that levels are printed as. */
static const char *print(const struct log_levels *levels)
{
    static char text[LOG_LEVELS_TEXT_MAX];
    struct str str;

    str_init(&str, text, sizeof(text));
    log_levels_print(levels, &str);
    CHECK(!str.is_cut);
    return text;
}

TEST(what_is_printed_is_read_again)
{
    struct log_levels levels = parse("http=trace, INFO ,x=off"), again;
    size_t length = 0;
    char text[2 * LOG_LEVELS_TEXT_MAX];

    CHECK_STR_EQ(print(&levels), "info,http=debug,x=off");
    again = parse(print(&levels));
    CHECK(memcmp(&levels, &again, sizeof(levels)) == 0);
    levels = parse("off");
    CHECK_STR_EQ(print(&levels), "off");
    /* The longest: names of 31 characters, as many as there may be. */
    for (int i = 0; i < LOG_LEVELS_MAX; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%sc%030d=debug",
                                   i ? "," : "", i);
    levels = parse(text);
    CHECK(str_starts_with(print(&levels), "info,"));
    CHECK_STR_EQ(print(&levels) + strlen("info,"), text);
}

TEST(a_mistake_is_refused_as_a_whole)
{
    static const char *const bad[] = {"loud", "info,",        "=info",    ",",         "http=",
                                      "http", "http=debug=3", "a b=info", "x[y]=info", "\xff=info"};
    struct log_levels levels = {.standard = 99};
    struct err err = {0};
    char text[LOG_LEVELS_MAX * 16 + 16] = "";
    size_t length = 0;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_EQ(log_levels_parse(&levels, bad[i], &err), -EINVAL);
    CHECK_EQ(log_levels_parse(&levels, "a234567890123456789012345678901x=info", &err), -EINVAL);
    for (int i = 0; i <= LOG_LEVELS_MAX; i++)
        length +=
            (size_t)snprintf(text + length, sizeof(text) - length, "%sc%d=info", i ? "," : "", i);
    CHECK_EQ(log_levels_parse(&levels, text, &err), -EINVAL);
    CHECK(strstr(err.text, "more than 32") != NULL);
    CHECK_EQ(levels.standard, 99);
}

TEST(what_is_not_understood_can_be_left_out)
{
    static const struct {
        const char *text, *kept, *dropped;
    } cases[] = {
        {"info", "info", ""},
        {"", "", ""},
        {"hyper", "", "hyper"},
        {"hyper,info", "info", "hyper"},
        {" warn , http=debug", "warn,http=debug", ""},
        {"warn,[span{a=1,b=2}]=trace,http=debug", "warn,http=debug", "[span{a=1 b=2}]=trace"},
        {"info,,x=loud,", "info", "x=loud"},
        {"a_target::that_is_longer_than_any_of_ours::ever=info,error", "error",
         "a_target::that_is_longer_than_any_of_ours::ever=info"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[128], dropped[128];
        struct str str;

        str_init(&str, dropped, sizeof(dropped));
        CHECK(str_format(text, sizeof(text), "%s", cases[i].text));
        log_levels_drop_unknown(text, &str);
        CHECK_STR_EQ(text, cases[i].kept);
        CHECK_STR_EQ(dropped, cases[i].dropped);
        (void)parse(text);
    }
}
