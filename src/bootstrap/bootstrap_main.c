/*
 * bootstrap_main - the program `bootstrap`: `vgpu bootstrap` alone, static, for an image that holds
 * nothing else.
 */
#include "bootstrap/bootstrap.h"
#include "bootstrap/bootstrap_options.h"
#include "utils/log.h"
#include "utils/str.h"

#include <string.h>
#include <unistd.h>

#define USAGE 2

/* Standard output may be closed: then nobody wants to know. */
static void print(const char *format, ...) PRINTF_LIKE(1, 2);
static void print(const char *format, ...)
{
    char text[512];
    struct str str;
    va_list args;

    str_init(&str, text, sizeof(text));
    va_start(args, format);
    str_add_list(&str, format, args);
    va_end(args);
    if (write(STDOUT_FILENO, text, str.length) < 0)
        return;
}

static void print_help(void)
{
    print("usage: bootstrap [OPTION...]\n\n"
          "Installs the preload libraries into a shared volume; see vgpu-bootstrap(1).\n\n");
    for (const struct bootstrap_option_row *row = bootstrap_option_rows; row->name; row++) {
        char left[64];

        (void)str_format(left, sizeof(left), "--%s%s%s", row->name, row->argument ? " " : "",
                         row->argument ? row->argument : ""); /* the rows are ours: it fits */
        print("  %-20s %s\n", left, row->help);
    }
}

int main(int argc, char **argv)
{
    const char *const *words = (const char *const *)argv + (argc > 0);
    struct bootstrap_options options;
    struct err err = {0};

    for (const char *const *word = words; *word; word++) {
        if (str_equals(*word, "--help") || str_equals(*word, "-h")) {
            print_help();
            return 0;
        }
        if (str_equals(*word, "--version")) {
            print("bootstrap %s\n", VGPU_VERSION);
            return 0;
        }
    }
    if (bootstrap_options_read(&options, words, &err) < 0) {
        log_error("bootstrap: %s", err.text);
        return USAGE;
    }
    if (bootstrap_run(&options, &err) < 0) {
        log_error("bootstrap: %s", err.text);
        return 1;
    }
    return 0;
}
