#pragma once
/*
 * harness - a thin layer over cmocka: a test file holds TESTs and nothing else; main is in
 * tests/unit/harness.c. The program's argument, where given, is a part of the names of tests to
 * run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "utils/err.h"

struct harness_test {
    const char *name;
    void (*function)(void **state);
    struct harness_test *next;
};

/* A check and where it stands. */
struct harness_place {
    const char *words;
    const char *file;
    int line;
};

void harness_add(struct harness_test *test);

/* Whether the long versions of tests are asked for (VGPU_TEST_FULL=1). */
bool harness_is_full(void);

#define TEST(title)                                                                                \
    static void test_##title(void **state);                                                        \
    __attribute__((constructor)) static void add_##title(void)                                     \
    {                                                                                              \
        static struct harness_test test = {.name = #title, .function = test_##title};              \
                                                                                                   \
        harness_add(&test);                                                                        \
    }                                                                                              \
    static void test_##title(void **state __attribute__((unused)))

#define CHECK(condition) assert_true(condition)
#define CHECK_EQ(got, wanted)                                                                      \
    harness_check_equal((long long)(got), (long long)(wanted), #got " == " #wanted, __FILE__,      \
                        __LINE__)
#define CHECK_STR_EQ(got, wanted) assert_string_equal((got), (wanted))
#define CHECK_NEAR(got, wanted, tolerance)                                                         \
    harness_check_near((double)(got), (double)(wanted), (double)(tolerance),                       \
                       &(struct harness_place){#got " ~ " #wanted, __FILE__, __LINE__})
/* A call that takes a `struct err *` last succeeded; its words are shown where not. */
#define CHECK_OK(call, err) harness_check_ok((call), (err), #call, __FILE__, __LINE__)

void harness_check_equal(long long got, long long wanted, const char *words, const char *file,
                         int line);
void harness_check_near(double got, double wanted, double tolerance,
                        const struct harness_place *place);
void harness_check_ok(int rc, const struct err *err, const char *words, const char *file, int line);
