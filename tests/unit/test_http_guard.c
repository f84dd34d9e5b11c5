#include "hypervisor/http_guard.h"

#include "tests/harness.h"

#include <errno.h>

static const struct http_guard_names loopback = {.address = "127.0.0.1"};
static const struct http_guard_names everywhere = {.address = "0.0.0.0"};
static const struct http_guard_names named = {.address = "10.1.2.3",
                                              .others = "node-7 node-7.example.org"};

TEST(loopback_has_few_names)
{
    static const char *const ours[] = {"localhost",      "LocalHost:80", "127.0.0.1",
                                       "127.1.2.3:8080", "[::1]",        "[::1]:65535"};
    static const char *const others[] = {"",
                                         "evil.example",
                                         "localhost.evil.example",
                                         "127.0.0.1.evil.example",
                                         "0.0.0.0",
                                         "10.0.0.1",
                                         "::1",
                                         "[::1",
                                         "[::1]x",
                                         "localhost:",
                                         "localhost:0",
                                         "localhost:65536",
                                         "localhost:x",
                                         ":80",
                                         "user@localhost",
                                         "localhost/",
                                         "local host",
                                         "127.1",
                                         "2130706433",
                                         "localhost."};

    for (size_t i = 0; i < ARRAY_LENGTH(ours); i++)
        CHECK(http_guard_host_is_ours(ours[i], &loopback));
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        CHECK(!http_guard_host_is_ours(others[i], &loopback));
}

TEST(what_is_listened_on_and_configured_is_ours)
{
    CHECK(http_guard_host_is_ours("10.1.2.3:80", &named));
    CHECK(http_guard_host_is_ours("node-7", &named));
    CHECK(http_guard_host_is_ours("NODE-7.example.org:80", &named));
    CHECK(http_guard_host_is_ours("localhost", &named));
    CHECK(!http_guard_host_is_ours("10.1.2.4", &named));
    CHECK(!http_guard_host_is_ours("node-7.example", &named));
    CHECK(!http_guard_host_is_ours("node", &named));
    CHECK(http_guard_host_is_ours("10.1.2.4", &everywhere));
    CHECK(http_guard_host_is_ours("[fe80::1]:80", &everywhere));
    CHECK(!http_guard_host_is_ours("node-7", &everywhere));
    CHECK(http_guard_host_is_ours("anything", &(struct http_guard_names){.is_any = true}));
}

TEST(changes_come_from_our_page_or_from_none)
{
    CHECK(http_guard_origin_is_ours(NULL, NULL, "localhost:80"));
    CHECK(http_guard_origin_is_ours("http://localhost:80", "same-origin", "localhost:80"));
    CHECK(http_guard_origin_is_ours(NULL, "none", "localhost:80"));
    /* TLS ends in front of us. */
    CHECK(http_guard_origin_is_ours("https://node-7", "same-origin", "node-7"));
    CHECK(!http_guard_origin_is_ours("http://localhost", NULL, "localhost:80"));
    CHECK(!http_guard_origin_is_ours("https://localhost", NULL, "localhost:80"));
    CHECK(!http_guard_origin_is_ours("http://localhost:80", NULL, NULL));
    CHECK(!http_guard_origin_is_ours("https://localhost", NULL, NULL));
    CHECK(!http_guard_origin_is_ours("ftp://localhost:80", NULL, "localhost:80"));
    CHECK(!http_guard_origin_is_ours("null", NULL, "localhost:80"));
    CHECK(!http_guard_origin_is_ours("", NULL, "localhost:80"));
    CHECK(!http_guard_origin_is_ours("http://localhost:80", "cross-site", "localhost:80"));
    CHECK(!http_guard_origin_is_ours(NULL, "same-site", "localhost:80"));
}

TEST(loopback_addresses_are_known)
{
    CHECK(http_guard_is_loopback("127.0.0.1"));
    CHECK(http_guard_is_loopback("127.255.0.9"));
    CHECK(http_guard_is_loopback("::1"));
    CHECK(http_guard_is_loopback("::ffff:127.0.0.1"));
    CHECK(!http_guard_is_loopback("::ffff:10.0.0.1"));
    CHECK(!http_guard_is_loopback("::2"));
    CHECK(!http_guard_is_loopback("128.0.0.1"));
    CHECK(!http_guard_is_loopback("localhost"));
}

TEST(json_is_told_from_other_content)
{
    CHECK(http_guard_is_json("application/json"));
    CHECK(http_guard_is_json("Application/JSON; charset=UTF-8"));
    CHECK(http_guard_is_json("application/json ; charset=\"utf-8\""));
    CHECK(!http_guard_is_json(NULL));
    CHECK(!http_guard_is_json("application/jsonx"));
    CHECK(!http_guard_is_json("application/json; charset=latin1"));
    CHECK(!http_guard_is_json("text/plain"));
}

static int judge(const char *const fields[][2], size_t count, bool is_http_1_0)
{
    struct http_guard_framing framing = {.is_http_1_0 = is_http_1_0};

    for (size_t i = 0; i < count; i++)
        if (http_guard_add_field(&framing, fields[i][0], fields[i][1], NULL) < 0)
            return -EINVAL;
    return http_guard_check_framing(&framing, NULL);
}

TEST(there_is_one_end_of_a_request)
{
    static const char *const good[][2] = {{"Host", "a"}, {"content-length", "5"}};
    static const char *const chunked[][2] = {{"Host", "a"}, {"TRANSFER-encoding", "Chunked"}};
    static const char *const both[][2] = {
        {"Host", "a"}, {"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}};
    static const char *const twice[][2] = {
        {"Host", "a"}, {"Content-Length", "5"}, {"Content-Length", "5"}};
    static const char *const other[][2] = {{"Host", "a"}, {"Transfer-Encoding", "xchunked"}};
    static const char *const hosts[][2] = {{"Host", "a"}, {"HOST", "a"}};

    CHECK_EQ(judge(good, 2, false), 0);
    CHECK_EQ(judge(chunked, 2, false), 0);
    CHECK_EQ(judge(chunked, 2, true), -EINVAL);
    CHECK_EQ(judge(both, 3, false), -EINVAL);
    CHECK_EQ(judge(twice, 3, false), -EINVAL);
    CHECK_EQ(judge(other, 2, false), -EINVAL);
    CHECK_EQ(judge(hosts, 2, false), -EINVAL);
    CHECK_EQ(judge(good, 0, false), -EINVAL);
    CHECK_EQ(judge(good, 0, true), 0);
}

TEST(fields_are_tokens_and_visible_text)
{
    struct http_guard_framing framing = {0};

    CHECK_EQ(http_guard_add_field(&framing, "X-y!", "a\tb \xe4", NULL), 0);
    CHECK_EQ(http_guard_add_field(&framing, "X ", "a", NULL), -EINVAL);
    CHECK_EQ(http_guard_add_field(&framing, "", "a", NULL), -EINVAL);
    CHECK_EQ(http_guard_add_field(&framing, "X", "a\rb", NULL), -EINVAL);
    CHECK_EQ(http_guard_add_field(&framing, "X", "a\x7f", NULL), -EINVAL);
    CHECK_EQ(http_guard_add_field(&framing, "Content-Length", "+5", NULL), -EINVAL);
    CHECK_EQ(http_guard_add_field(&framing, "Content-Length", "", NULL), -EINVAL);
}
