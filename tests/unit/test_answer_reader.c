#include "tests/harness.h"

#include "cli/answer_reader.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>

static struct {
    struct answer_reader answer;
    char body[256];
    size_t length;
    int refusal; /* what the sink answers */
    struct err err;
} at;

static int take(void *context, const char *bytes, size_t size, struct err *err)
{
    CHECK(at.length + size < sizeof(at.body));
    memcpy(at.body + at.length, bytes, size);
    at.length += size;
    at.body[at.length] = '\0';
    return at.refusal ? err_set(err, -at.refusal, "refused") : 0;
}

static int feed_in_steps(const char *text, size_t length, size_t step)
{
    int rc = 0;

    memset(&at, 0, sizeof(at));
    answer_reader_init(&at.answer, take, NULL);
    for (size_t i = 0; !rc && i < length; i += step)
        rc = answer_reader_feed(&at.answer, text + i, step < length - i ? step : length - i,
                                &at.err);
    return rc;
}

/* However it is cut into pieces, it is the same answer. */
static void check_answer(const char *text, uint32_t status, const char *body)
{
    for (size_t step = 1; step < 8; step++) {
        CHECK_OK(feed_in_steps(text, strlen(text), step), &at.err);
        CHECK_EQ(at.answer.status, status);
        CHECK_STR_EQ(at.body, body);
        CHECK(answer_reader_has_head(&at.answer));
        CHECK(answer_reader_may_end(&at.answer));
    }
}

static void check_refused_bytes(const char *text, size_t length)
{
    for (size_t step = 1; step < 8; step++) {
        CHECK_EQ(feed_in_steps(text, length, step), -EPROTO);
        CHECK(at.err.text[0]);
    }
}

static void check_refused(const char *text)
{
    check_refused_bytes(text, strlen(text));
}

TEST(a_body_with_a_length)
{
    check_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
    check_answer("HTTP/1.1 204\r\n\r\n", 204, "");
    check_answer("HTTP/1.0 404 Not Found\r\ncontent-length:0\r\n\r\n", 404, "");
    CHECK_EQ(at.answer.state, ANSWER_READER_DONE);
}

TEST(a_body_in_chunks)
{
    check_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5\r\nhello\r\n06\r\n world\r\n0\r\n\r\n",
                 200, "hello world");
    check_answer("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked \r\n\r\n"
                 "A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
                 200, "0123456789");
    CHECK_EQ(at.answer.state, ANSWER_READER_DONE);
}

TEST(a_body_that_ends_with_the_connection)
{
    check_answer("HTTP/1.0 200 OK\r\nX: y\r\n\r\nall of it", 200, "all of it");
    CHECK_EQ(at.answer.state, ANSWER_READER_UNTIL_END);
}

TEST(an_event_stream_is_known_by_its_type)
{
    check_answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n", 200,
                 "");
    CHECK(at.answer.is_event_stream);
    check_answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-streams\r\n\r\n", 200, "");
    CHECK(!at.answer.is_event_stream);
    check_answer("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", 200, "");
    CHECK(!at.answer.is_event_stream);
}

TEST(what_is_cut_off_may_not_end)
{
    static const char *const texts[] = {
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CHECK_OK(feed_in_steps(texts[i], strlen(texts[i]), 3), &at.err);
        CHECK(!answer_reader_may_end(&at.answer));
    }
}

TEST(status_lines_that_are_none_are_refused)
{
    static const char *const texts[] = {
        "\r\n",
        "HTTP/1.1 200 OK\n",
        "HTTP/2 200 OK\r\n",
        "HTTP/1.1 20 OK\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "HTTP/1.1 +20 OK\r\n",
        "HTTP/1.1 100 Continue\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n",
        "HTTP/1.1 999 What\r\n",
        "HTTP/1.1  200 OK\r\n",
        "http/1.1 200 OK\r\n",
        "SSH-2.0-OpenSSH\r\n",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        check_refused(texts[i]);
}

TEST(headers_that_leave_the_length_open_to_doubt_are_refused)
{
    static const char *const headers[] = {
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 18446744073709551615\r\n",
        "Content-Length : 5\r\n",
        " folded: x\r\n",
        ": x\r\n",
        "no colon\r\n",
        "X: y\n",
    };

    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        char text[256];

        (void)str_format(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s", headers[i]);
        check_refused(text);
    }
}

TEST(chunks_that_are_none_are_refused)
{
    static const char *const chunks[] = {
        "\r\n",         "g\r\n",           "-1\r\n",       "5;x=y\r\n", "0x5\r\n", "fffffffff\r\n",
        "ffffffff\r\n", "5\r\nhello!\r\n", "5\r\nhello\n", "5\n",       " 5\r\n",
    };

    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        char text[256];

        (void)str_format(text, sizeof(text),
                         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s", chunks[i]);
        check_refused(text);
    }
}

TEST(what_comes_behind_the_answer_is_refused)
{
    check_refused("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab");
    check_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nH");
}

TEST(a_zero_byte_hides_nothing)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\0"
                               "2\r\n\r\n";

    check_refused_bytes(text, sizeof(text) - 1);
}

TEST(lines_and_headers_without_end_are_refused)
{
    static char text[65536];
    struct str str;

    memset(text, 'x', sizeof(text));
    check_refused_bytes(text, sizeof(text));
    str_init(&str, text, sizeof(text));
    str_add(&str, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i <= ANSWER_READER_HEADERS_MAX; i++)
        str_add(&str, "X: y\r\n");
    check_refused(text);
    str_init(&str, text, sizeof(text));
    str_add(&str, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    for (int i = 0; i <= ANSWER_READER_HEADERS_MAX; i++)
        str_add(&str, "X: y\r\n");
    check_refused(text);
}

TEST(the_sink_s_refusal_ends_the_reading)
{
    static const char text[] = "HTTP/1.1 200 OK\r\n\r\nbody";

    memset(&at, 0, sizeof(at));
    at.refusal = -EPIPE;
    answer_reader_init(&at.answer, take, NULL);
    CHECK_EQ(answer_reader_feed(&at.answer, text, sizeof(text) - 1, &at.err), -EPIPE);
}
