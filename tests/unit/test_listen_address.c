#include "hypervisor/listen_address.h"

#include "tests/harness.h"

#include <errno.h>

static bool is_loopback(const char *text)
{
    struct listen_address address;
    struct err err = {0};

    CHECK_OK(listen_address_parse(&address, text, &err), &err);
    CHECK(address.length > 0);
    return listen_address_is_loopback(&address);
}

TEST(what_only_this_machine_reaches_is_told_from_what_others_reach)
{
    CHECK(is_loopback("127.0.0.1:8080"));
    CHECK(is_loopback("127.9.9.9:1"));
    CHECK(is_loopback("localhost:0"));
    CHECK(is_loopback("[::1]:65535"));
    CHECK(!is_loopback("0.0.0.0:8080"));
    CHECK(!is_loopback(":8080"));
    CHECK(!is_loopback("10.0.0.1:8080"));
    CHECK(!is_loopback("[::]:8080"));
    CHECK(!is_loopback("[::ffff:127.0.0.1]:8080"));
}

TEST(what_is_no_numeric_address_is_refused)
{
    static const char *const bad[] = {"",
                                      "127.0.0.1",
                                      "8080",
                                      "127.0.0.1:",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:http",
                                      "example.org:80",
                                      "::1:80",
                                      "[::1]",
                                      "[]:80",
                                      "[127.0.0.1]:80",
                                      "256.0.0.1:80",
                                      "0123456789012345678901234567890123456789012345678901:80"};
    struct listen_address address;
    struct err err = {0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_EQ(listen_address_parse(&address, bad[i], &err), -EINVAL);
}
