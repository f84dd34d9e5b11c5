#include "hypervisor/problem.h"

#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>

TEST(a_problem_has_the_members_of_the_rfc)
{
    char *text = problem_text(&(struct problem){404, "no-such-tenant", "there is no tenant 'a'"});
    char *plain = problem_text(&(struct problem){.status = 405});

    CHECK_STR_EQ(text, "{\"type\":\"urn:vgpu:problem:no-such-tenant\",\"title\":\"Not Found\","
                       "\"status\":404,\"detail\":\"there is no tenant 'a'\"}");
    CHECK_STR_EQ(plain,
                 "{\"type\":\"about:blank\",\"title\":\"Method Not Allowed\",\"status\":405}");
    free(text);
    free(plain);
}

TEST(words_that_are_no_utf8_are_shown_all_the_same)
{
    char *text = problem_text(&(struct problem){400, NULL, "'\xff' is wrong"});

    CHECK_STR_EQ(text, "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
                       "\"detail\":\"'?' is wrong\"}");
    free(text);
}

TEST(what_the_loop_says_has_a_status)
{
    CHECK_EQ(problem_of_status(-ENOENT, "").status, 404);
    CHECK_EQ(problem_of_status(-EEXIST, "").status, 409);
    CHECK_EQ(problem_of_status(-ENOSPC, "").status, 409);
    CHECK_EQ(problem_of_status(-EPERM, "").status, 403);
    CHECK_EQ(problem_of_status(-EINVAL, "").status, 400);
    CHECK_EQ(problem_of_status(-EOPNOTSUPP, "").status, 501);
    CHECK_EQ(problem_of_status(-EAGAIN, "").status, 429);
    CHECK_EQ(problem_of_status(-ETIMEDOUT, "").status, 504);
    CHECK_EQ(problem_of_status(-ECONNRESET, "").status, 503);
    CHECK_EQ(problem_of_status(-EIO, "").status, 500);
    CHECK(problem_of_status(-EIO, "").detail == NULL);
    CHECK_STR_EQ(problem_of_status(-ENOSPC, "words").type, "no-room");
}
