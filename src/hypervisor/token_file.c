#include "hypervisor/token_file.h"

#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 4

struct token {
    unsigned char text[TOKEN_LENGTH_MAX]; /* the rest is zero */
    size_t length;
    struct token_grant grant;
};

struct token_file {
    struct token *tokens;
    size_t count;
};

struct line {
    char text[TOKEN_LENGTH_MAX + 512];
    char *words[WORDS_MAX];
    size_t word_count;
};

void token_file_free(struct token_file *file)
{
    if (!file)
        return;
    if (file->tokens)
        explicit_bzero(file->tokens, file->count * sizeof(*file->tokens));
    free(file->tokens);
    free(file);
}

static void free_file(struct token_file **file)
{
    token_file_free(*file);
}

static bool is_token_text(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._~+/=-";
    size_t length = strspn(text, allowed);

    return !text[length] && length >= TOKEN_LENGTH_MIN && length <= TOKEN_LENGTH_MAX;
}

/* A name of Kubernetes: small letters, digits, `-` and `.`. */
static bool is_object_name(const char *text, size_t length, size_t size)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";

    return length > 0 && length < size && strspn(text, allowed) >= length;
}

static int read_pod(struct token_grant *grant, const char *text, struct err *err)
{
    const char *slash = strchr(text, '/');

    if (!slash || !is_object_name(text, (size_t)(slash - text), sizeof(grant->pod_namespace)) ||
        slash[1 + strspn(slash + 1, "abcdefghijklmnopqrstuvwxyz0123456789-.")] ||
        !is_object_name(slash + 1, strlen(slash + 1), sizeof(grant->pod_name)))
        return err_say(err, EINVAL, "'%s' is no NAMESPACE/NAME of a pod", text);
    (void)str_format(grant->pod_namespace, sizeof(grant->pod_namespace), "%.*s",
                     (int)(slash - text), text); /* fits: checked above */
    (void)str_format(grant->pod_name, sizeof(grant->pod_name), "%s", slash + 1);
    return 0;
}

static int read_expiry(uint64_t *ret_unix_ms, const char *text, struct err *err)
{
    struct tm utc = {0};
    const char *end;
    char again[32];
    time_t seconds;

    end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    seconds = end && !*end ? timegm(&utc) : -1;
    /* Written back, it has to be the same: strptime() takes spaces and the 31st of February. */
    if (seconds < 0 || !gmtime_r(&seconds, &utc) ||
        !strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", &utc) || !str_equals(again, text))
        return err_say(err, EINVAL, "'%s' is no time like 2027-01-01T00:00:00Z", text);
    *ret_unix_ms = (uint64_t)seconds * 1000;
    return 0;
}

static int read_role(struct token *token, const struct line *line, size_t *position,
                     struct err *err)
{
    const char *word = line->words[1];

    *position = 2;
    if (str_equals(word, "operator")) {
        token->grant.role = TOKEN_OPERATOR;
        return 0;
    }
    if (str_equals(word, "reader")) {
        token->grant.role = TOKEN_READER;
        return 0;
    }
    if (!str_equals(word, "pod"))
        return err_say(err, EINVAL, "'%s' is none of operator, reader, pod", word);
    token->grant.role = TOKEN_POD;
    if (line->word_count < 3)
        return err_say(err, EINVAL, "the pod's NAMESPACE/NAME is missing");
    *position = 3;
    return read_pod(&token->grant, line->words[2], err);
}

static int read_token(struct token *token, const struct line *line, struct err *err)
{
    static const char expires[] = "expires=";
    size_t position;
    int rc;

    if (!is_token_text(line->words[0]))
        return err_say(err, EINVAL, "a token has %d to %d characters of A-Z a-z 0-9 . _ ~ + / = -",
                       TOKEN_LENGTH_MIN, TOKEN_LENGTH_MAX);
    if (line->word_count < 2)
        return err_say(err, EINVAL, "the token's role is missing");
    token->length = strlen(line->words[0]);
    memcpy(token->text, line->words[0], token->length);
    token->grant.expires_unix_ms = UINT64_MAX;
    rc = read_role(token, line, &position, err);
    if (rc < 0 || position == line->word_count)
        return rc;
    if (!str_starts_with(line->words[position], expires) || position + 1 != line->word_count)
        return err_say(err, EINVAL, "'%s' is not understood", line->words[position]);
    return read_expiry(&token->grant.expires_unix_ms, line->words[position] + strlen(expires), err);
}

static int split(struct line *line, const char *text, size_t length, struct err *err)
{
    char *rest, *word;

    if (length >= sizeof(line->text))
        return err_say(err, EINVAL, "the line is too long");
    if (memchr(text, '\0', length))
        return err_say(err, EINVAL, "there is a NUL in the line");
    memcpy(line->text, text, length);
    line->text[length] = '\0';
    line->text[strcspn(line->text, "#")] = '\0';
    line->word_count = 0;
    for (word = strtok_r(line->text, " \t\r", &rest); word; word = strtok_r(NULL, " \t\r", &rest)) {
        if (line->word_count == WORDS_MAX)
            return err_say(err, EINVAL, "there are too many words in the line");
        line->words[line->word_count++] = word;
    }
    return 0;
}

static int add_line(struct token_file *file, const char *text, size_t length, struct err *err)
{
    struct line line;
    int rc = split(&line, text, length, err);

    if (rc == 0 && line.word_count)
        rc = read_token(&file->tokens[file->count++], &line, err);
    explicit_bzero(&line, sizeof(line));
    return rc;
}

static size_t count_lines(const char *text, size_t size)
{
    size_t lines = 1;

    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    return lines;
}

int token_file_parse(struct token_file **ret_file, const char *text, size_t size, struct err *err)
{
    CLEANUP(free_file) struct token_file *file = calloc(1, sizeof(*file));
    size_t number = 1;

    if (size > TOKEN_FILE_MAX)
        return err_say(err, EFBIG, "more than %d bytes of tokens", TOKEN_FILE_MAX);
    if (file)
        file->tokens = calloc(count_lines(text, size), sizeof(*file->tokens));
    if (!file || !file->tokens)
        return err_set(err, ENOMEM, "allocate the tokens");
    for (size_t start = 0; start < size; number++) {
        const char *end = memchr(text + start, '\n', size - start);
        size_t length = end ? (size_t)(end - text) - start : size - start;

        if (add_line(file, text + start, length, err) < 0)
            return err_wrap(err, "line %zu", number);
        start += length + 1;
    }
    *ret_file = TAKE_POINTER(file);
    return 0;
}

static int check_mode(int fd, const char *path, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "stat '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_say(err, EPERM, "'%s' is no plain file", path);
    if (st.st_mode & 077)
        return err_say(err, EPERM, "'%s' is open to others: chmod 600 it", path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return err_say(err, EPERM, "'%s' belongs to user %u, not to root or to us", path,
                       (unsigned int)st.st_uid);
    return 0;
}

int token_file_load(struct token_file **ret_file, const char *path, struct err *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    CLEANUP_FREE char *text = NULL;
    size_t size = 0;
    ssize_t got = 1;
    int rc;

    if (fd < 0)
        return err_set(err, errno, "open '%s'", path);
    rc = check_mode(fd, path, err);
    if (rc < 0)
        return rc;
    text = malloc(TOKEN_FILE_MAX + 1);
    if (!text)
        return err_set(err, ENOMEM, "read '%s'", path);
    for (; got > 0 && size <= TOKEN_FILE_MAX; size += got > 0 ? (size_t)got : 0)
        got = read(fd, text + size, TOKEN_FILE_MAX + 1 - size);
    if (got < 0)
        rc = err_set(err, errno, "read '%s'", path);
    else if (token_file_parse(ret_file, text, size, err) < 0)
        rc = err_wrap(err, "'%s'", path);
    explicit_bzero(text, TOKEN_FILE_MAX + 1);
    return rc;
}

/* 0 where they are equal; takes as long for any two. */
static unsigned int difference(const struct token *token, const unsigned char *text, size_t length)
{
    unsigned int found = token->length != length;

    for (size_t i = 0; i < sizeof(token->text); i++)
        found |= (unsigned int)(token->text[i] ^ text[i]);
    return found;
}

int token_file_find_at(const struct token_file *file, const char *bearer, uint64_t unix_ms,
                       struct token_grant *ret_grant)
{
    unsigned char padded[TOKEN_LENGTH_MAX] = {0};
    size_t length = strnlen(bearer, TOKEN_LENGTH_MAX + 1);
    const struct token *found = NULL;

    if (length > TOKEN_LENGTH_MAX)
        return -ENOENT;
    memcpy(padded, bearer, length);
    for (size_t i = 0; i < file->count; i++)
        if (difference(&file->tokens[i], padded, length) == 0)
            found = &file->tokens[i];
    explicit_bzero(padded, sizeof(padded));
    if (!found)
        return -ENOENT;
    if (unix_ms >= found->grant.expires_unix_ms)
        return -EKEYEXPIRED;
    *ret_grant = found->grant;
    return 0;
}

int token_file_find(const struct token_file *file, const char *bearer,
                    struct token_grant *ret_grant)
{
    return token_file_find_at(file, bearer, clock_unix_ms(), ret_grant);
}
