#include "tests/harness.h"

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/limit_options.h"
#include "supervisor/gpus.h"
#include "utils/str.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GIB (UINT64_C(1) << 30)

/* The commands themselves are not here. */
#define COMMAND(name, operands, summary, description)                                              \
    int cmd_##name(const struct command_line *line)                                                \
    {                                                                                              \
        return COMMAND_FAILED;                                                                     \
    }
#define OPTION(letter, name, argument, help)
#define END
#include "cli/commands.def"

static const struct command *find_set(void)
{
    const struct command *command = command_table;

    while (!str_equals(command->name, "set"))
        command++;
    return command;
}

static struct {
    struct command_line line;
    struct message_set set;
    char words[512]; /* what was said on stderr */
} at;

static void parse(const char *const *arguments)
{
    union {
        const char *const *arguments;
        char **argv; /* the parser does not write to them */
    } given = {.arguments = arguments};

    memset(&at, 0, sizeof(at));
    at.line.command = find_set();
    CHECK_EQ(command_parse(&at.line, given.argv), COMMAND_OK);
}

/* Runs with stderr in at.words. */
static int heard(int (*call)(void))
{
    int kept = dup(STDERR_FILENO), file = memfd_create("words", MFD_CLOEXEC), rc;

    CHECK(kept >= 0 && file >= 0 && dup2(file, STDERR_FILENO) == STDERR_FILENO);
    rc = call();
    CHECK(dup2(kept, STDERR_FILENO) == STDERR_FILENO);
    CHECK(pread(file, at.words, sizeof(at.words) - 1, 0) >= 0);
    close(file);
    close(kept);
    return rc;
}

static int read_limits(void)
{
    return limit_options_read(&at.line, &at.set);
}

#define READ(...)                                                                                  \
    (parse((const char *const[]){__VA_ARGS__, NULL}), CHECK_EQ(heard(read_limits), COMMAND_OK))

static void check_refused(const char *option, const char *value)
{
    const char *const arguments[] = {option, value, NULL};

    parse(arguments);
    CHECK_EQ(heard(read_limits), COMMAND_USAGE);
    CHECK(strstr(at.words, option));
    CHECK_EQ(at.set.fields, 0); /* untouched */
}

TEST(nothing_given_is_nothing_asked_for)
{
    parse((const char *const[]){NULL});
    CHECK_EQ(heard(read_limits), COMMAND_OK);
    CHECK_EQ(at.set.fields, 0);
    CHECK_EQ(at.set.gpu_mask, UINT32_MAX);
    CHECK_EQ(message_check(&at.set, sizeof(at.set)), MESSAGE_SET);
}

TEST(sizes_are_read_in_bytes_or_as_a_part_of_the_card)
{
    READ("--memory", "8GiB");
    CHECK_EQ(at.set.fields, MESSAGE_SET_MEMORY);
    CHECK_EQ(at.set.memory_bytes, 8 * GIB);
    CHECK_EQ(at.set.memory_milli_percent, 0);
    READ("--memory", "1.5G");
    CHECK_EQ(at.set.memory_bytes, 3 * GIB / 2);
    READ("--memory", "8GB");
    CHECK_EQ(at.set.memory_bytes, 8000000000);
    READ("--memory", "1");
    CHECK_EQ(at.set.memory_bytes, 1);
    READ("--memory", "40%");
    CHECK_EQ(at.set.memory_milli_percent, 40000);
    READ("--memory", "100%");
    CHECK_EQ(at.set.memory_milli_percent, 100000);
    READ("--memory", "none");
    CHECK_EQ(at.set.fields, MESSAGE_SET_MEMORY);
    CHECK(at.set.memory_bytes == REGION_NO_LIMIT);
}

TEST(sizes_that_are_none_are_refused_with_words)
{
    static const char *const values[] = {
        "",
        "0",
        "0GiB",
        "-1GiB",
        "+1GiB",
        "8 GiB",
        "8gib",
        "GiB",
        "8GiBs",
        "0x10",
        "1e9",
        "NaN",
        "inf",
        "None",
        "101%",
        "0%",
        "-5%",
        "40%%",
        "40 %",
        "1.2345GiB",
        "99999999TiB",
        "18446744073709551616",
        "18446744073709551615GiB",
        "1.5",
        "8GiB\n",
        "\xff",
    };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        check_refused("--memory", values[i]);
}

TEST(caps_are_read_as_percents)
{
    READ("--compute", "30%");
    CHECK_EQ(at.set.fields, MESSAGE_SET_COMPUTE);
    CHECK_EQ(at.set.cap_milli_percent, 30000);
    READ("--compute", "12.5");
    CHECK_EQ(at.set.cap_milli_percent, 12500);
    READ("--compute", "0.001%");
    CHECK_EQ(at.set.cap_milli_percent, 1);
    READ("--compute", "100");
    CHECK_EQ(at.set.cap_milli_percent, 100000);
    READ("--compute", "none");
    CHECK_EQ(at.set.cap_milli_percent, 100000);
}

TEST(caps_that_are_none_are_refused_with_words)
{
    static const char *const values[] = {
        "",     "0",    "0%",     "0.0004",     "100.001",
        "101",  "-1",   "30 %",   "30%%",       "%",
        ".5",   "30.",  "3e1",    "0x1e",       "nan",
        "NONE", "30%x", "1.0000", "4294967296", "18446744073709551617",
        "30,5",
    };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        check_refused("--compute", values[i]);
}

TEST(weights_and_priorities_have_their_bounds)
{
    READ("--weight", "1", "--priority", "low");
    CHECK_EQ(at.set.weight, 1);
    CHECK_EQ(at.set.priority, REGION_LOW);
    READ("--weight", "1000", "--priority", "high");
    CHECK_EQ(at.set.weight, 1000);
    CHECK_EQ(at.set.priority, REGION_HIGH);
    CHECK_EQ(at.set.fields, MESSAGE_SET_WEIGHT | MESSAGE_SET_PRIORITY);
    check_refused("--weight", "0");
    check_refused("--weight", "1001");
    check_refused("--weight", "-1");
    check_refused("--weight", "1.5");
    check_refused("--weight", "4294967297");
    check_refused("--priority", "HIGH");
    check_refused("--priority", "");
    check_refused("--priority", "1");
}

TEST(the_last_of_several_counts)
{
    READ("--compute", "30%", "--compute", "none", "--compute", "5");
    CHECK_EQ(at.set.cap_milli_percent, 5000);
}

/* --- --gpu --- */

static const struct gpus_card cards[] = {
    {.uuid = "GPU-a", .nvml_index = 2},
    {.uuid = "GPU-b", .nvml_index = 0},
    {.uuid = "GPU-c", .nvml_index = 7},
};

static uint32_t mask;

static int read_gpus(void)
{
    return limit_options_read_gpus(&at.line, cards, 3, &mask);
}

static int ask_for_gpus(const char *first, const char *second)
{
    const char *const arguments[] = {"--gpu", first, second ? "--gpu" : NULL, second, NULL};

    parse(arguments);
    mask = 0;
    return heard(read_gpus);
}

TEST(gpus_are_named_by_nvml_s_number_or_uuid)
{
    CHECK_EQ(ask_for_gpus("0", NULL), COMMAND_OK);
    CHECK_EQ(mask, 2);
    CHECK_EQ(ask_for_gpus("7", "GPU-a"), COMMAND_OK);
    CHECK_EQ(mask, 5);
    CHECK_EQ(ask_for_gpus("7", "7"), COMMAND_OK);
    CHECK_EQ(mask, 4);
    parse((const char *const[]){NULL});
    CHECK_EQ(heard(read_gpus), COMMAND_OK);
    CHECK_EQ(mask, UINT32_MAX);
}

TEST(gpus_that_are_not_here_are_refused_with_words)
{
    static const char *const values[] = {
        "1",     "3",  "-1",     "4294967296", "18446744073709551616", "", "GPU", "GPU-", "GPU-A",
        "gpu-a", "0 ", "GPU-ab", "0,7"};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        CHECK_EQ(ask_for_gpus(values[i], NULL), COMMAND_USAGE);
        CHECK(strstr(at.words, "--gpu"));
        CHECK_EQ(mask, 0);
    }
}
