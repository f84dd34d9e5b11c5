#include "hypervisor/http_listener.h"

#include "tests/harness.h"

#include <errno.h>

static struct http_listener_address address;

TEST(addresses_and_paths_are_told_apart)
{
    struct err err;

    CHECK_OK(http_listener_parse(&address, "127.0.0.1:8080", &err), &err);
    CHECK_STR_EQ(address.text, "127.0.0.1");
    CHECK_EQ(address.port, 8080);
    CHECK_EQ(address.is_unix, false);
    CHECK_OK(http_listener_parse(&address, "[::1]:0", &err), &err);
    CHECK_STR_EQ(address.text, "::1");
    CHECK_EQ(address.port, 0);
    /* All that the configuration's check lets pass. */
    CHECK_OK(http_listener_parse(&address, "localhost:80", &err), &err);
    CHECK_STR_EQ(address.text, "127.0.0.1");
    CHECK_OK(http_listener_parse(&address, ":8080", &err), &err);
    CHECK_STR_EQ(address.text, "0.0.0.0");
    CHECK_EQ(address.port, 8080);
    CHECK_OK(http_listener_parse(&address, "/run/vgpu/http", &err), &err);
    CHECK_STR_EQ(address.text, "/run/vgpu/http");
    CHECK_EQ(address.is_unix, true);
}

TEST(what_is_no_address_is_refused)
{
    static const char *const wrong[] = {
        "",
        "8080",
        "127.0.0.1",
        "127.0.0.1:",
        "::1:80",
        "[::1]",
        "[::1:80",
        "[]:80",
        "127.0.0.1:65536",
        "127.0.0.1:+1",
        "[127.0.0.1]:80",
        "[::1]x:80",
        "127.0.0.1:80x",
        "http",
        "[",
        "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        CHECK_EQ(http_listener_parse(&address, wrong[i], NULL), -EINVAL);
}
