/*
 * generate_hypervisor_manuals - writes the man pages of the daemon and of its file out of
 * options.def and policy.def while vgpu is built.
 *
 *     generate_hypervisor_manuals .../vgpu-hypervisor.8 .../vgpu-hypervisor.yaml.5
 */
#include "utils/roff.h"

#include <stdbool.h>
#include <string.h>

#define RELOADS  true
#define RESTARTS false

static const struct option {
    const char *name, *argument, *variables, *standard;
    bool reloads;
    const char *help, *notice;
} options[] = {
#define OPTION(name, kind, argument, variables, standard, applies, help, notice)                   \
    {#name, argument, variables, standard, applies, help, notice},
#include "hypervisor/options.def"
};

static const struct action {
    const char *name, *argument, *help;
} actions[] = {
#define ACTION(name, argument, help) {name, argument, help},
#include "hypervisor/options.def"
};

static const struct rule {
    const char *key, *argument, *help;
} rules[] = {
#define RULE(key, member, kind, argument, help) {#key, argument, help},
#include "hypervisor/policy.def"
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void print_flag(FILE *file, const char *name)
{
    fputs("\\-\\-", file);
    for (; *name; name++)
        if (*name == '_' || *name == '-')
            fputs("\\-", file);
        else
            fputc(*name, file);
}

static void print_argument(FILE *file, const char *argument)
{
    if (argument) {
        fputs(" \\fI", file);
        roff_print(file, argument);
        fputs("\\fR", file);
    }
    fputc('\n', file);
}

static void print_option_words(FILE *file, const struct option *option)
{
    roff_print(file, option->help);
    if (option->notice) {
        fputs(": ", file);
        roff_print(file, option->notice);
    }
    if (option->standard[0]) {
        fputs(" (default ", file);
        roff_print(file, option->standard);
        fputc(')', file);
    }
    fputc('\n', file);
}

static void print_daemon_options(FILE *file)
{
    fputs(
        ".SH OPTIONS\nEach can be written in the file too, see \\fBvgpu\\-hypervisor.yaml\\fR(5). "
        "A switch without a value is true.\n",
        file);
    for (size_t i = 0; i < COUNT(actions); i++) {
        fputs(".TP\n\\fB", file);
        print_flag(file, actions[i].name);
        fputs("\\fR", file);
        print_argument(file, actions[i].argument);
        roff_line(file, "", actions[i].help);
    }
    for (size_t i = 0; i < COUNT(options); i++) {
        fputs(".TP\n\\fB", file);
        print_flag(file, options[i].name);
        fputs("\\fR", file);
        print_argument(file, options[i].argument);
        print_option_words(file, &options[i]);
    }
}

static void print_environment(FILE *file)
{
    fputs(".SH ENVIRONMENT\nA variable counts above the file and below a flag; one that is empty "
          "does not count. Of several for one option the first that is set counts.\n",
          file);
    for (size_t i = 0; i < COUNT(options); i++) {
        if (!options[i].variables[0])
            continue;
        fputs(".TP\n\\fB", file);
        roff_print(file, options[i].variables);
        fputs("\\fR\n\\fB", file);
        print_flag(file, options[i].name);
        fputs("\\fR\n", file);
    }
    fputs(".TP\n\\fBNOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID\\fR\nset by a service manager that is "
          "to be told how the daemon is, see \\fBsd_notify\\fR(3)\n",
          file);
}

static void print_daemon_page(FILE *file)
{
    fprintf(file, ".TH vgpu-hypervisor 8 \"\" \"vgpu %s\" \"vgpu\"\n", VGPU_VERSION);
    fputs(
        ".SH NAME\nvgpu\\-hypervisor, hypervisor \\- keeps the tenants of a machine's GPUs\n"
        ".SH SYNOPSIS\n\\fBvgpu\\-hypervisor\\fR [\\fBdaemon\\fR] [\\fIOPTION\\fR...]\n.br\n"
        "\\fBvgpu\\-hypervisor tui\\fR [\\fB\\-\\-refresh\\-interval\\fR "
        "\\fISECONDS\\fR]\n.br\n"
        "\\fBvgpu\\-hypervisor mount\\-shm\\fR [\\fB\\-\\-mount\\-point\\fR \\fIDIR\\fR] "
        "[\\fB\\-\\-size\\-mb\\fR \\fIN\\fR]\n.br\n"
        "\\fBvgpu\\-hypervisor show\\-shm\\fR \\fB\\-\\-namespace\\fR \\fINAME\\fR "
        "\\fB\\-\\-pod\\-name\\fR \\fINAME\\fR [\\fB\\-\\-shm\\-base\\-path\\fR \\fIDIR\\fR]\n"
        ".SH DESCRIPTION\n"
        "\\fBdaemon\\fR keeps all tenants of the machine: it makes them, shows them over HTTP, and "
        "gives a tenant whose supervisor died another one. Its own end stops no tenant. "
        "\\fBtui\\fR is \\fBvgpu top\\fR, once a second unless it is told. "
        "\\fBmount\\-shm\\fR mounts a tmpfs for readers of the "
        "former shared memory where there is none yet, and \\fBshow\\-shm\\fR shows one of its "
        "files.\n",
        file);
    print_daemon_options(file);
    print_environment(file);
    fputs(
        ".SH SIGNALS\n.TP\nSIGHUP\nreads the configuration again, and opens a log file anew that "
        "was moved. Where the configuration is bad, the one in force stays.\n"
        ".TP\nSIGTERM, SIGINT\nend the daemon; tenants go on.\n"
        ".SH EXIT STATUS\n0 where it was ended, 1 for what failed, 2 for what was asked wrongly: a "
        "bad option or configuration.\n"
        ".SH FILES\n.TP\n/etc/vgpu/hypervisor.yaml\nthe configuration, see "
        "\\fBvgpu\\-hypervisor.yaml\\fR(5)\n"
        ".SH SEE ALSO\n\\fBvgpu\\fR(1), \\fBvgpu\\-hypervisor.yaml\\fR(5)\n",
        file);
}

static void print_policy(FILE *file)
{
    fputs(
        ".SH POLICY\n\\fBpolicy\\fR is an ordered list of rules. The first that matches a user "
        "decides, alone; without one all is allowed but to exceed, and more than 64 tenants of a "
        "user. Where a rule for a group comes first and a user's groups cannot be found out, it is "
        "refused. Operators (root) are not asked. Bounds are for all tenants of "
        "one user together. A rule is for one of \\fBuser\\fR (a name or a number), \\fBgroup\\fR "
        "(the same) or \\fBeveryone: true\\fR, and may hold:\n",
        file);
    for (size_t i = 0; i < COUNT(rules); i++) {
        fprintf(file, ".TP\n\\fB%s\\fR", rules[i].key);
        print_argument(file, rules[i].argument);
        roff_line(file, "", rules[i].help);
    }
    fputs("A reload makes it effective for what is asked from then on.\n", file);
}

static void print_tokens(FILE *file)
{
    fputs(
        ".SH TOKENS\n\\fBapi_token_file\\fR has a token a line, with \\fB#\\fR comments and empty "
        "lines:\n.PP\n.nf\n"
        "\\fITOKEN\\fR \\fBoperator\\fR\n"
        "\\fITOKEN\\fR \\fBreader expires=2027\\-01\\-01T00:00:00Z\\fR\n"
        "\\fITOKEN\\fR \\fBpod\\fR \\fINAMESPACE\\fR/\\fINAME\\fR\n.fi\n.PP\n"
        "A token has 16 to 512 characters of [A\\-Za\\-z0\\-9._~+/=\\-], as \\fBopenssl rand "
        "\\-hex 32\\fR makes it. Who shows it (Authorization: Bearer \\fITOKEN\\fR) may, as "
        "\\fBoperator\\fR, all; as \\fBreader\\fR, read; as \\fBpod\\fR, what the former HTTP API "
        "has for that pod. After \\fBexpires\\fR, a time in UTC, it is refused. The file belongs "
        "to root or to the daemon's user and is closed to group and others (\\fBchmod 600\\fR), "
        "else it is not read. A reload reads it again; where it is bad the old tokens stay.\n",
        file);
}

static void print_values(FILE *file)
{
    fputs(
        ".SH VALUES\n.TP\nSIZE\n8GiB, 512MiB, 8G (= GiB), 8GB (decimal) or bytes\n"
        ".TP\nDURATION\n90s, 500ms, 24h, 1h 30m; without a unit seconds\n"
        ".TP\nBOOLEAN, true|false, on|off\ntrue, on, yes, 1 or false, off, no, 0\n"
        ".TP\nPATTERN,...\na list, or a text with commas\n"
        ".TP\nJSON\nan object, as YAML writes it or as JSON in quotes\n"
        ".TP\nLEVELS\na level for all and, with commas between, NAME=LEVEL for some: NAME is that "
        "of a module, the beginning of several modules' names up to an underscore, or a folder of "
        "the sources. The one that says most about where a line comes from counts.\n",
        file);
}

static void print_file_page(FILE *file)
{
    fprintf(file, ".TH vgpu-hypervisor.yaml 5 \"\" \"vgpu %s\" \"vgpu\"\n", VGPU_VERSION);
    fputs(
        ".SH NAME\nvgpu\\-hypervisor.yaml \\- configuration of vgpu\\-hypervisor\n"
        ".SH SYNOPSIS\n/etc/vgpu/hypervisor.yaml\n"
        ".SH DESCRIPTION\nA YAML mapping; every key may be left out, and so may the file. A key "
        "that is not known is a mistake. Environment and flags are above the file. "
        "\\fBvgpu\\-hypervisor \\-\\-check\\-config\\fR judges it, and "
        "\\fB\\-\\-print\\-config\\fR shows what is in force and where it comes from.\n.SH KEYS\n",
        file);
    for (size_t i = 0; i < COUNT(options); i++) {
        fputs(".TP\n\\fB", file);
        roff_print(file, options[i].name);
        fputs("\\fR", file);
        print_argument(file, options[i].argument);
        print_option_words(file, &options[i]);
        if (!options[i].reloads)
            fputs(".br\nTakes effect when the daemon is started anew.\n", file);
    }
    print_policy(file);
    print_tokens(file);
    print_values(file);
    fputs(".SH EXAMPLE\n.nf\napi_listen_addr: 127.0.0.1:8080\nlog_level: info,http=debug\npolicy:\n"
          "  \\- {user: root, exceed: true}\n"
          "  \\- {group: research, memory: 40%, compute: 50%, priority: normal}\n"
          "  \\- {everyone: true, memory: 8GiB, tenants: 1}\n.fi\n"
          ".SH SEE ALSO\n\\fBvgpu\\-hypervisor\\fR(8)\n",
          file);
}

static int write_page(const char *path, void (*print)(FILE *file))
{
    FILE *file = fopen(path, "we");

    if (!file) {
        perror(path);
        return 1;
    }
    print(file);
    return fclose(file) ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: generate_hypervisor_manuals DAEMON-PAGE FILE-PAGE\n");
        return 2;
    }
    return write_page(argv[1], print_daemon_page) || write_page(argv[2], print_file_page);
}
