#include "hypervisor/token_file.h"

#include "tests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPERATOR "abcdefghijklmnop"
#define READER   "ABCDEFGHIJKLMNOPQRSTUVWXYZ._~+/=-"
#define POD      "0123456789012345"

static struct token_file *parse(const char *text)
{
    struct token_file *file = NULL;
    struct err err;

    CHECK_OK(token_file_parse(&file, text, strlen(text), &err), &err);
    return file;
}

static void check_refused(const char *text, const char *words)
{
    struct token_file *file = NULL;
    struct err err = {0};

    CHECK_EQ(token_file_parse(&file, text, strlen(text), &err), -EINVAL);
    if (!strstr(err.text, words))
        CHECK_STR_EQ(err.text, words);
}

TEST(each_token_is_good_for_its_role)
{
    struct token_file *file = parse("# tokens\n\n" OPERATOR " operator\n\t" READER
                                    "   reader # for scrapes\r\n" POD " pod default/worker-1");
    struct token_grant grant;

    CHECK_EQ(token_file_find(file, OPERATOR, &grant), 0);
    CHECK_EQ(grant.role, TOKEN_OPERATOR);
    CHECK_EQ(token_file_find(file, READER, &grant), 0);
    CHECK_EQ(grant.role, TOKEN_READER);
    CHECK_STR_EQ(grant.pod_name, "");
    CHECK_EQ(token_file_find(file, POD, &grant), 0);
    CHECK_EQ(grant.role, TOKEN_POD);
    CHECK_STR_EQ(grant.pod_namespace, "default");
    CHECK_STR_EQ(grant.pod_name, "worker-1");
    token_file_free(file);
}

TEST(what_is_not_the_whole_token_is_none)
{
    static const char *const wrong[] = {
        "", "abcdefghijklmno", "abcdefghijklmnopq", "abcdefghijklmnoP", "operator", OPERATOR " "};
    struct token_file *file = parse(OPERATOR " operator\n");
    struct token_grant grant;
    char longest[TOKEN_LENGTH_MAX + 10];

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        CHECK_EQ(token_file_find(file, wrong[i], &grant), -ENOENT);
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    CHECK_EQ(token_file_find(file, longest, &grant), -ENOENT);
    token_file_free(file);
}

TEST(a_token_ends_with_its_time)
{
    struct token_file *file = parse(OPERATOR " operator expires=2027-01-01T00:00:00Z\n");
    struct token_grant grant;
    uint64_t end_unix_ms = UINT64_C(1798761600000);

    CHECK_EQ(token_file_find_at(file, OPERATOR, end_unix_ms - 1, &grant), 0);
    CHECK_EQ(token_file_find_at(file, OPERATOR, end_unix_ms, &grant), -EKEYEXPIRED);
    token_file_free(file);
}

TEST(the_longest_token_is_taken)
{
    char text[TOKEN_LENGTH_MAX + 32];
    struct token_grant grant;
    struct token_file *file;

    memset(text, 'x', TOKEN_LENGTH_MAX);
    memcpy(text + TOKEN_LENGTH_MAX, " reader", sizeof(" reader"));
    file = parse(text);
    text[TOKEN_LENGTH_MAX] = '\0';
    CHECK_EQ(token_file_find(file, text, &grant), 0);
    token_file_free(file);
}

TEST(wrong_lines_are_named)
{
    check_refused("\n\nshort operator\n", "line 3");
    check_refused(OPERATOR "\n", "role is missing");
    check_refused(OPERATOR " king\n", "'king'");
    check_refused(OPERATOR " pod\n", "NAMESPACE/NAME is missing");
    check_refused(OPERATOR " pod nothing\n", "'nothing'");
    check_refused(OPERATOR " pod /name\n", "'/name'");
    check_refused(OPERATOR " pod name/\n", "'name/'");
    check_refused(OPERATOR " pod a/b/c\n", "'a/b/c'");
    check_refused(OPERATOR " pod A/b\n", "'A/b'");
    check_refused(OPERATOR " operator more\n", "'more'");
    check_refused(OPERATOR " operator expires=2027-01-01T00:00:00Z more\n", "not understood");
    check_refused(OPERATOR " operator expires=soon\n", "'soon'");
    check_refused(OPERATOR " operator expires=2027-02-31T00:00:00Z\n", "no time");
    check_refused(OPERATOR " operator expires=2027-01-01T00:00:00\n", "no time");
    check_refused("abcdefgh!ijklmnop operator\n", "a token has");
}

TEST(a_nul_in_the_file_is_refused)
{
    static const char text[] = OPERATOR " operator\0\n";
    struct token_file *file = NULL;

    CHECK_EQ(token_file_parse(&file, text, sizeof(text) - 1, NULL), -EINVAL);
}

TEST(a_file_that_others_may_read_is_refused)
{
    char path[] = "/tmp/vgpu-test-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    struct token_file *file = NULL;
    struct err err;

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, OPERATOR " operator\n", sizeof(OPERATOR " operator\n") - 1),
             sizeof(OPERATOR " operator\n") - 1);
    CHECK_OK(token_file_load(&file, path, &err), &err);
    token_file_free(file);
    CHECK_EQ(fchmod(fd, 0640), 0);
    CHECK_EQ(token_file_load(&file, path, &err), -EPERM);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(token_file_load(&file, path, &err), -ENOENT);
    CHECK_EQ(token_file_load(&file, "/tmp", &err), -EPERM);
    CHECK_EQ(close(fd), 0);
}
