#include "cli/answer_reader.h"

#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

void answer_reader_init(struct answer_reader *answer, answer_reader_sink *sink, void *context)
{
    *answer =
        (struct answer_reader){.state = ANSWER_READER_STATUS, .sink = sink, .context = context};
}

bool answer_reader_has_head(const struct answer_reader *answer)
{
    return answer->state > ANSWER_READER_HEADER;
}

bool answer_reader_may_end(const struct answer_reader *answer)
{
    return answer->state == ANSWER_READER_DONE || answer->state == ANSWER_READER_UNTIL_END;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int read_status(struct answer_reader *answer, struct err *err)
{
    const char *line = answer->line;

    if (!(str_starts_with(line, "HTTP/1.1 ") || str_starts_with(line, "HTTP/1.0 ")) ||
        answer->line_length < 12 || !is_digit(line[9]) || !is_digit(line[10]) ||
        !is_digit(line[11]) || (line[12] && line[12] != ' '))
        return err_say(err, EPROTO, "that is no answer of HTTP/1.1");
    answer->status = (uint32_t)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
    if (answer->status < 200 || answer->status > 599)
        return err_say(err, EPROTO, "status %u was not asked for", answer->status);
    answer->state = ANSWER_READER_HEADER;
    return 0;
}

static int read_length(struct answer_reader *answer, const char *value, struct err *err)
{
    if (answer->has_length || parse_u64(&answer->left_bytes, value, 0, INT64_MAX, NULL) < 0)
        return err_say(err, EPROTO, "the length of the answer is none, or it has two");
    answer->has_length = true;
    return 0;
}

static int read_encoding(struct answer_reader *answer, const char *value, struct err *err)
{
    if (answer->is_chunked || strcasecmp(value, "chunked") != 0)
        return err_say(err, EPROTO, "the answer is encoded in a way that was not asked for");
    answer->is_chunked = true;
    return 0;
}

/* The empty line: how long the body is, is known now. */
static int end_head(struct answer_reader *answer, struct err *err)
{
    if (answer->is_chunked && answer->has_length)
        return err_say(err, EPROTO, "the answer has both a length and chunks");
    if (answer->status == 204 || answer->status == 304)
        answer->state = ANSWER_READER_DONE;
    else if (answer->is_chunked)
        answer->state = ANSWER_READER_CHUNK_SIZE;
    else if (!answer->has_length)
        answer->state = ANSWER_READER_UNTIL_END;
    else
        answer->state = answer->left_bytes ? ANSWER_READER_COUNTED : ANSWER_READER_DONE;
    return 0;
}

/* Splits "name: value" in place; NULL where it is none. Blanks around the value are cut off. */
static char *split_header(char *line)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t length = strspn(line, token);
    char *value = line + length + 1, *end;

    if (!length || line[length] != ':')
        return NULL;
    line[length] = '\0';
    value += strspn(value, " \t");
    end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    return value;
}

static int read_header(struct answer_reader *answer, struct err *err)
{
    char *name = answer->line, *value;

    if (!answer->line_length)
        return end_head(answer, err);
    if (++answer->header_count > ANSWER_READER_HEADERS_MAX)
        return err_say(err, EPROTO, "the answer has more than %d headers",
                       ANSWER_READER_HEADERS_MAX);
    value = split_header(name);
    if (!value)
        return err_say(err, EPROTO, "a header of the answer is none");
    if (strcasecmp(name, "Content-Length") == 0)
        return read_length(answer, value, err);
    if (strcasecmp(name, "Transfer-Encoding") == 0)
        return read_encoding(answer, value, err);
    if (strcasecmp(name, "Content-Type") == 0)
        answer->is_event_stream = strncasecmp(value, "text/event-stream", 17) == 0 &&
                                  (!value[17] || value[17] == ';' || value[17] == ' ');
    return 0;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Extensions of a chunk are nothing that we know how to obey. */
static int read_chunk_size(struct answer_reader *answer, struct err *err)
{
    uint64_t size = 0;

    if (!answer->line_length || answer->line_length > 8)
        return err_say(err, EPROTO, "a chunk's size is none");
    for (size_t i = 0; i < answer->line_length; i++) {
        int digit = hex_digit(answer->line[i]);

        if (digit < 0)
            return err_say(err, EPROTO, "a chunk's size is none");
        size = size * 16 + (uint64_t)digit;
    }
    if (size > ANSWER_READER_CHUNK_MAX)
        return err_say(err, EPROTO, "a chunk is too large");
    answer->left_bytes = size;
    answer->state = size ? ANSWER_READER_CHUNK : ANSWER_READER_TRAILER;
    return 0;
}

static int end_chunk(struct answer_reader *answer, struct err *err)
{
    if (answer->line_length)
        return err_say(err, EPROTO, "a chunk is longer than its size");
    answer->state = ANSWER_READER_CHUNK_SIZE;
    return 0;
}

static int read_trailer(struct answer_reader *answer, struct err *err)
{
    if (!answer->line_length)
        answer->state = ANSWER_READER_DONE;
    else if (++answer->header_count > ANSWER_READER_HEADERS_MAX)
        return err_say(err, EPROTO, "the answer has more than %d headers",
                       ANSWER_READER_HEADERS_MAX);
    return 0;
}

static int end_line(struct answer_reader *answer, struct err *err)
{
    /* An embedded NUL would hide what stands behind it. */
    if (!answer->line_length || answer->line[answer->line_length - 1] != '\r' ||
        memchr(answer->line, '\0', answer->line_length))
        return err_say(err, EPROTO, "a line of the answer does not end as HTTP's do");
    answer->line[--answer->line_length] = '\0';
    switch (answer->state) {
    case ANSWER_READER_STATUS:
        return read_status(answer, err);
    case ANSWER_READER_HEADER:
        return read_header(answer, err);
    case ANSWER_READER_CHUNK_SIZE:
        return read_chunk_size(answer, err);
    case ANSWER_READER_CHUNK_END:
        return end_chunk(answer, err);
    default:
        return read_trailer(answer, err);
    }
}

static int add_to_line(struct answer_reader *answer, char c, struct err *err)
{
    int rc = 0;

    if (c == '\n') {
        rc = end_line(answer, err);
        answer->line_length = 0;
        return rc;
    }
    if (answer->line_length + 1 >= sizeof(answer->line))
        return err_say(err, EPROTO, "a line of the answer is longer than %d bytes",
                       ANSWER_READER_LINE_MAX);
    answer->line[answer->line_length++] = c;
    return 0;
}

static bool is_body(enum answer_reader_state state)
{
    return state == ANSWER_READER_COUNTED || state == ANSWER_READER_UNTIL_END ||
           state == ANSWER_READER_CHUNK;
}

/* Hands on what belongs to the body; returns its length. */
static int take_body(struct answer_reader *answer, const char *bytes, size_t *size, struct err *err)
{
    bool is_bounded = answer->state != ANSWER_READER_UNTIL_END;

    if (is_bounded && *size > answer->left_bytes)
        *size = (size_t)answer->left_bytes;
    if (is_bounded)
        answer->left_bytes -= *size;
    if (is_bounded && !answer->left_bytes)
        answer->state =
            answer->state == ANSWER_READER_CHUNK ? ANSWER_READER_CHUNK_END : ANSWER_READER_DONE;
    return answer->sink(answer->context, bytes, *size, err);
}

int answer_reader_feed(struct answer_reader *answer, const char *bytes, size_t size,
                       struct err *err)
{
    while (size) {
        size_t taken = is_body(answer->state) ? size : 1;
        int rc;

        if (answer->state == ANSWER_READER_DONE)
            return err_say(err, EPROTO, "something comes behind the answer");
        rc = is_body(answer->state) ? take_body(answer, bytes, &taken, err)
                                    : add_to_line(answer, *bytes, err);
        if (rc < 0)
            return rc;
        bytes += taken;
        size -= taken;
    }
    return 0;
}
