/*
 * generate_web_assets - writes the files of the web view as a table in C while vgpu is built.
 *
 *     generate_web_assets OUTPUT FILE...
 *
 * The table is included by web_assets.c alone. index.html is "/", every other file "/<its name>".
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BYTES_A_LINE 16

static const struct {
    const char *ending, *content_type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml; charset=utf-8"},
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static const char *content_type(const char *name)
{
    const char *ending = strrchr(name, '.');

    for (size_t i = 0; ending && i < sizeof(types) / sizeof(types[0]); i++)
        if (!strcmp(types[i].ending, ending))
            return types[i].content_type;
    return NULL;
}

/* FNV-1a: the tag has to tell two builds' files apart, not to withstand anybody. */
static uint64_t hash(uint64_t so_far, unsigned char byte)
{
    return (so_far ^ byte) * 0x100000001b3;
}

/* Writes the bytes of one file, and what their tag is made of to *ret_hash. */
static bool write_bytes(FILE *output, const char *path, int number, uint64_t *ret_hash)
{
    FILE *input = fopen(path, "rb");
    uint64_t sum = 0xcbf29ce484222325;
    size_t length = 0;
    bool is_whole;
    int byte;

    if (!input)
        return false;
    fprintf(output, "static const unsigned char bytes_%d[] = {", number);
    while ((byte = fgetc(input)) != EOF) {
        sum = hash(sum, (unsigned char)byte);
        fprintf(output, "%s%d,", length++ % BYTES_A_LINE ? "" : "\n", byte);
    }
    fputs("\n};\n", output);
    is_whole = !ferror(input) && length > 0;
    if (fclose(input) != 0)
        return false;
    *ret_hash = sum;
    return is_whole;
}

static void write_row(FILE *output, const char *name, int number, uint64_t sum)
{
    bool is_front = !strcmp(name, "index.html");

    fprintf(output,
            "    {\"/%s\", \"%s\", bytes_%d, sizeof(bytes_%d), \"\\\"%016" PRIx64 "\\\"\"},\n",
            is_front ? "" : name, content_type(name), number, number, sum);
}

int main(int argc, char **argv)
{
    uint64_t sums[64];
    FILE *output;

    if (argc < 3 || argc - 2 > (int)(sizeof(sums) / sizeof(sums[0]))) {
        fputs("usage: generate_web_assets OUTPUT FILE...\n", stderr);
        return 2;
    }
    output = fopen(argv[1], "w");
    if (!output) {
        perror(argv[1]);
        return 1;
    }
    fputs("#include \"hypervisor/web_assets.h\"\n\n", output);
    for (int i = 2; i < argc; i++)
        if (!content_type(base_name(argv[i])) || !write_bytes(output, argv[i], i, &sums[i - 2])) {
            fprintf(stderr, "generate_web_assets: '%s' is empty, unreadable or of no known type\n",
                    argv[i]);
            return 1;
        }
    fputs("\nstatic const struct web_asset assets[] = {\n", output);
    for (int i = 2; i < argc; i++)
        write_row(output, base_name(argv[i]), i, sums[i - 2]);
    fputs("};\n", output);
    if (fclose(output) != 0) {
        perror(argv[1]);
        return 1;
    }
    return 0;
}
