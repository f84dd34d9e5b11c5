#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    struct harness_test *first;
    struct harness_test **end;
    size_t count;
} tests = {.end = &tests.first};

void harness_add(struct harness_test *test)
{
    *tests.end = test;
    tests.end = &test->next;
    tests.count++;
}

bool harness_is_full(void)
{
    const char *value = getenv("VGPU_TEST_FULL");

    return value && strcmp(value, "1") == 0;
}

void harness_check_equal(long long got, long long wanted, const char *words, const char *file,
                         int line)
{
    if (got == wanted)
        return;
    print_error("%s: got %lld, wanted %lld\n", words, got, wanted);
    _fail(file, line);
}

void harness_check_near(double got, double wanted, double tolerance,
                        const struct harness_place *place)
{
    if (got >= wanted - tolerance && got <= wanted + tolerance)
        return;
    print_error("%s: got %f, wanted %f +- %f\n", place->words, got, wanted, tolerance);
    _fail(place->file, place->line);
}

void harness_check_ok(int rc, const struct err *err, const char *words, const char *file, int line)
{
    if (rc >= 0)
        return;
    print_error("%s: %d: %s\n", words, rc, err ? err->text : "");
    _fail(file, line);
}

int main(int argc, char **argv)
{
    struct CMUnitTest *list = calloc(tests.count + 1, sizeof(*list));
    const char *slash = strrchr(argv[0], '/');
    size_t count = 0;
    int failed;

    if (!list)
        return 1;
    for (struct harness_test *test = tests.first; test; test = test->next)
        if (argc < 2 || strstr(test->name, argv[1]))
            list[count++] = (struct CMUnitTest){.name = test->name, .test_func = test->function};
    failed = _cmocka_run_group_tests(slash ? slash + 1 : argv[0], list, count, NULL, NULL);
    free(list);
    return failed || !count;
}
