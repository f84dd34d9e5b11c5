#include "hypervisor/accept_header.h"

#include "tests/harness.h"

static const struct accept_header_media text = {"text", "plain", "0.0.4"};
static const struct accept_header_media json = {"application", "json", NULL};

static uint32_t quality(const char *header)
{
    return accept_header_match(header, &text).quality_milli;
}

TEST(without_a_header_or_a_range_that_fits_there_is_no_match)
{
    CHECK_EQ(accept_header_match(NULL, &text).closeness, ACCEPT_HEADER_NOTHING);
    CHECK_EQ(accept_header_match("", &text).closeness, ACCEPT_HEADER_NOTHING);
    CHECK_EQ(accept_header_match(" , ,", &text).closeness, ACCEPT_HEADER_NOTHING);
    CHECK_EQ(accept_header_match("text/html", &text).closeness, ACCEPT_HEADER_NOTHING);
    CHECK_EQ(accept_header_match("image/*", &text).closeness, ACCEPT_HEADER_NOTHING);
    CHECK_EQ(quality("text/html"), 0);
}

TEST(ranges_are_told_apart_by_how_closely_they_name_the_medium)
{
    CHECK_EQ(accept_header_match("*/*", &text).closeness, ACCEPT_HEADER_ANYTHING);
    CHECK_EQ(accept_header_match("text/*", &text).closeness, ACCEPT_HEADER_TYPE);
    CHECK_EQ(accept_header_match("text/plain", &text).closeness, ACCEPT_HEADER_SUBTYPE);
    CHECK_EQ(accept_header_match("text/plain;version=0.0.4", &text).closeness,
             ACCEPT_HEADER_VERSION);
    CHECK_EQ(accept_header_match("application/json", &json).closeness, ACCEPT_HEADER_SUBTYPE);
}

TEST(a_range_with_another_version_does_not_fit)
{
    CHECK_EQ(quality("text/plain;version=1.0.0"), 0);
    CHECK_EQ(quality("text/plain;version=\"0.0.4\""), 1000);
    CHECK_EQ(quality("text/plain;version=1.0.0, text/plain;version=0.0.4;q=0.2"), 200);
    CHECK_EQ(accept_header_match("application/json;version=1", &json).quality_milli, 0);
}

TEST(names_are_compared_without_regard_to_case_and_blanks_are_allowed)
{
    CHECK_EQ(quality("TEXT/Plain ; Version=0.0.4 ;\tQ=0.25 , a/b"), 250);
    CHECK_EQ(quality("text/plain;;q=0.5;"), 500);
    CHECK_EQ(quality("text/plain;charset=utf-8;escaping=underscores"), 1000);
}

TEST(quality_has_up_to_three_decimals_and_is_at_most_one)
{
    CHECK_EQ(quality("text/plain;q=0"), 0);
    CHECK_EQ(quality("text/plain;q=0."), 0);
    CHECK_EQ(quality("text/plain;q=0.001"), 1);
    CHECK_EQ(quality("text/plain;q=0.75"), 750);
    CHECK_EQ(quality("text/plain;q=1"), 1000);
    CHECK_EQ(quality("text/plain;q=1.000"), 1000);
    CHECK_EQ(accept_header_match("text/plain;q=0", &text).closeness, ACCEPT_HEADER_SUBTYPE);
}

TEST(a_range_that_is_not_well_formed_is_passed_over_and_the_rest_counts)
{
    static const char *const wrong[] = {
        "text",
        "text/",
        "/plain",
        "text/plain;q=1.001",
        "text/plain;q=2",
        "text/plain;q=",
        "text/plain;q",
        "text/plain;q=0.1234",
        "text/plain;q=-1",
        "text/plain;q=.5",
        "text/plain;q=x",
        "text/plain;version=\"0.0.4",
        "text/plain x",
        "*/plain",
        "text plain",
        "text/plain;=1",
        "text/plain;q=\"0.5",
        "text/plain;q=00.5",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK_EQ(accept_header_match(wrong[i], &text).closeness, ACCEPT_HEADER_NOTHING);
    CHECK_EQ(quality("text/plain;q=9, */*;q=0.3"), 300);
    CHECK_EQ(quality("nonsense;a=\"x,text/plain\", */*;q=0.4"), 400);
    CHECK_EQ(quality("text/plain;a=\"x\\\"y,z\";q=0.6"), 600);
}

TEST(the_closest_range_decides_wherever_it_stands)
{
    CHECK_EQ(quality("text/plain;q=0.1, text/*;q=0.9, */*"), 100);
    CHECK_EQ(quality("*/*, text/*;q=0.9, text/plain;q=0"), 0);
    CHECK_EQ(quality("*/*;q=0.2, text/*;q=0.4"), 400);
    /* Of two that are as close, the better one. */
    CHECK_EQ(quality("text/plain;q=0.2, text/plain;q=0.6, text/plain;q=0.1"), 600);
}
