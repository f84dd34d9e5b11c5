#include "hypervisor/rfc3339.h"

#include "tests/harness.h"

TEST(an_instant_is_written_in_utc_with_its_milliseconds)
{
    static const struct {
        uint64_t unix_ms;
        const char *wanted;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782400007, "2000-02-29T00:00:00.007Z"},
        {1700000000123, "2023-11-14T22:13:20.123Z"},
        {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[RFC3339_SIZE];

        rfc3339_format(text, cases[i].unix_ms);
        CHECK_STR_EQ(text, cases[i].wanted);
    }
}
