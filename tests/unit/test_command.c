#include "cli/command.h"
#include "cli/commands.h"
#include "tests/harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define COMMAND_STATUS 77 /* what the commands of this test return */

static struct {
    struct command_line line;
    int calls;
} seen;

/* The commands themselves are not here: each remembers its command line. */
#define COMMAND(name, operands, summary, description)                                              \
    int cmd_##name(const struct command_line *line)                                                \
    {                                                                                              \
        seen.line = *line;                                                                         \
        seen.calls++;                                                                              \
        return COMMAND_STATUS;                                                                     \
    }
#define OPTION(letter, name, argument, help)
#define END
#include "cli/commands.def"

/* What a run of the parser says on a descriptor. */
struct words {
    char text[16384];
    int status;
};

static struct words ask(int fd, const char *const *arguments)
{
    union {
        const char *const *arguments;
        char **argv; /* the parser does not write to them */
    } given = {.arguments = arguments};
    struct words words = {.status = 0};
    int kept = dup(fd), file = memfd_create("words", MFD_CLOEXEC), argc = 0;
    ssize_t length;

    while (arguments[argc])
        argc++;
    memset(&seen, 0, sizeof(seen));
    fflush(stdout);
    CHECK(kept >= 0 && file >= 0 && dup2(file, fd) == fd);
    words.status = command_main(argc, given.argv);
    fflush(stdout);
    CHECK(dup2(kept, fd) == fd);
    length = pread(file, words.text, sizeof(words.text) - 1, 0);
    CHECK(length >= 0);
    words.text[length] = '\0';
    close(file);
    close(kept);
    return words;
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static bool is_one_line(const char *text)
{
    const char *end = strchr(text, '\n');

    return end && !end[1];
}

static void check_refused(const char *const *arguments, const char *word)
{
    struct words words = ask(STDERR_FILENO, arguments);

    CHECK_EQ(words.status, COMMAND_USAGE);
    CHECK_EQ(seen.calls, 0);
    CHECK(is_one_line(words.text));
    CHECK(strncmp(words.text, "vgpu: ", 6) == 0);
    CHECK(strstr(words.text, word));
}

TEST(what_is_unknown_is_named_on_one_line)
{
    check_refused(ARGUMENTS("vgpu", "dance"), "'dance'");
    check_refused(ARGUMENTS("vgpu", "run", "--dance", "--", "true"), "'--dance'");
    check_refused(ARGUMENTS("vgpu", "run", "-z"), "'-z'");
    check_refused(ARGUMENTS("vgpu", "ps", "--json=yes"), "--json");
    check_refused(ARGUMENTS("vgpu", "run", "--memory"), "--memory");
}

TEST(options_end_at_the_command)
{
    (void)ask(STDERR_FILENO, ARGUMENTS("vgpu", "run", "--compute", "30%", "--memory=8GiB", "-v",
                                       "--", "ls", "--memory", "x"));
    CHECK_EQ(seen.calls, 1);
    CHECK_STR_EQ(command_value(&seen.line, "compute"), "30%");
    CHECK_STR_EQ(command_value(&seen.line, "memory"), "8GiB");
    CHECK(command_has(&seen.line, "verbose"));
    CHECK(!command_has(&seen.line, "weight"));
    CHECK_EQ(seen.line.operand_count, 3);
    CHECK_STR_EQ(seen.line.operands[0], "ls");
}

TEST(an_option_given_twice_counts_last_and_all_can_be_had)
{
    const char *const *values;

    (void)ask(STDERR_FILENO, ARGUMENTS("vgpu", "run", "--gpu", "0", "--gpu", "1", "true"));
    CHECK_STR_EQ(command_value(&seen.line, "gpu"), "1");
    CHECK_EQ(command_values(&seen.line, "gpu", &values), 2);
    CHECK_STR_EQ(values[0], "0");
}

TEST(the_command_s_status_is_the_program_s)
{
    CHECK_EQ(ask(STDERR_FILENO, ARGUMENTS("vgpu", "ps")).status, COMMAND_STATUS);
}

TEST(help_tells_of_every_option_and_hides_what_is_not_for_people)
{
    struct words words = ask(STDOUT_FILENO, ARGUMENTS("vgpu", "run", "--help"));

    CHECK_EQ(words.status, COMMAND_OK);
    CHECK_EQ(seen.calls, 0);
    CHECK(strstr(words.text, "--on-loss open|closed"));
    CHECK(strstr(words.text, "--weight 1..1000"));
    words = ask(STDOUT_FILENO, ARGUMENTS("vgpu", "--help"));
    CHECK(strstr(words.text, "doctor"));
    CHECK(!strstr(words.text, "probe"));
}

TEST(help_behind_the_command_is_the_command_s)
{
    (void)ask(STDERR_FILENO, ARGUMENTS("vgpu", "run", "--", "ls", "--help"));
    CHECK_EQ(seen.calls, 1);
}

TEST(the_version_is_told)
{
    struct words words = ask(STDOUT_FILENO, ARGUMENTS("vgpu", "--version"));

    CHECK_EQ(words.status, COMMAND_OK);
    CHECK(strncmp(words.text, "vgpu ", 5) == 0 && is_one_line(words.text));
}
