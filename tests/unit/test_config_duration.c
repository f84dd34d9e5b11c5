#include "hypervisor/config_duration.h"

#include "tests/harness.h"
#include "utils/clock.h"

#include <errno.h>

static uint64_t read_it(const char *text)
{
    uint64_t duration_ns = 0;
    struct err err = {0};

    CHECK_OK(config_duration_read(&duration_ns, text, &err), &err);
    return duration_ns;
}

TEST(durations_have_units_and_without_one_are_seconds)
{
    CHECK_EQ(read_it("90"), 90 * NS_PER_SEC);
    CHECK_EQ(read_it("0"), 0);
    CHECK_EQ(read_it("1.5s"), 1500 * NS_PER_MS);
    CHECK_EQ(read_it("500ms"), 500 * NS_PER_MS);
    CHECK_EQ(read_it("0.5 ms"), 500 * NS_PER_US);
    CHECK_EQ(read_it("7us"), 7000);
    CHECK_EQ(read_it("3ns"), 3);
    CHECK_EQ(read_it("24h"), 86400 * NS_PER_SEC);
    CHECK_EQ(read_it("1h 30m"), 5400 * NS_PER_SEC);
    CHECK_EQ(read_it("1h30m10s"), 5410 * NS_PER_SEC);
    CHECK_EQ(read_it(" 2 days "), 172800 * NS_PER_SEC);
    CHECK_EQ(read_it("0.999999999d"), UINT64_C(86399999913600));
    CHECK_EQ(read_it("1000000000"), 1000000000 * NS_PER_SEC);
}

TEST(what_is_no_duration_is_refused)
{
    static const char *const bad[] = {"",       " ",   "s",     "1x",    "-1",  "1h x",
                                      "1.2.3s", "1,5", "0.5ns", "1 h m", "1e3", "0.0000000001"};
    uint64_t duration_ns = 7;
    struct err err = {0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_EQ(config_duration_read(&duration_ns, bad[i], &err), -EINVAL);
    CHECK_EQ(config_duration_read(&duration_ns, "1000000001", &err), -ERANGE);
    CHECK_EQ(config_duration_read(&duration_ns, "999999999 days", &err), -ERANGE);
    CHECK_EQ(config_duration_read(&duration_ns, "1000000000s 1ns", &err), -ERANGE);
    CHECK_EQ(duration_ns, 7);
}

TEST(what_is_written_is_read_as_the_same)
{
    static const uint64_t durations_ns[] = {0,
                                            1,
                                            1500,
                                            NS_PER_MS,
                                            90 * NS_PER_SEC,
                                            3600 * NS_PER_SEC,
                                            86400 * NS_PER_SEC,
                                            86400 * NS_PER_SEC + 1};
    static const char *const texts[] = {"0s",  "1ns", "1500ns", "1ms",
                                        "90s", "1h",  "1d",     "86400000000001ns"};

    for (size_t i = 0; i < 8; i++) {
        char text[32];
        struct str str;

        str_init(&str, text, sizeof(text));
        config_duration_write(&str, durations_ns[i]);
        CHECK_STR_EQ(text, texts[i]);
        CHECK_EQ(read_it(text), durations_ns[i]);
    }
}
