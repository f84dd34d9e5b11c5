/*
 * The libFuzzer target of single values: any text as the value of an option, as it comes from the
 * environment or a command line (hypervisor/config_value), as the labels that become tags
 * (hypervisor/usage_labels), as an address (hypervisor/listen_address), and as what utils/parse
 * reads. The first byte says which option. What an option accepts is printed as a file that means
 * the same.
 */
#include "hypervisor/config_file.h"
#include "hypervisor/config_print.h"
#include "hypervisor/listen_address.h"
#include "hypervisor/usage_labels.h"
#include "utils/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config first, second;

static void read_option(enum config_option option, const char *text)
{
    static const struct config_source source = {.kind = CONFIG_FLAG};
    char *printed = NULL;
    size_t length = 0;
    struct err err;
    FILE *file;

    config_init(&first);
    if (config_set(&first, option, text, source, &err) < 0)
        return;
    file = open_memstream(&printed, &length);
    if (!file || config_print(&first, file, &err) < 0 || fclose(file))
        abort();
    config_init(&second);
    if (config_file_parse(&second, "f", printed, length, &err) < 0)
        abort();
    if (!config_value_equals(&config_rows[option].type, config_value(&first, option),
                             config_value(&second, option)))
        abort();
    free(printed);
}

static void read_labels(const char *text)
{
    static struct usage_labels labels;

    if (usage_labels_parse(&labels, text, NULL) < 0)
        return;
    if (labels.count > USAGE_LABELS_MAX)
        abort();
    for (size_t i = 0; i < labels.count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(labels.labels[i].tag, labels.labels[j].tag) == 0)
                abort();
}

static void read_plain(const char *text)
{
    struct listen_address address;
    struct parse_size bytes;
    uint32_t milli_percent;
    uint64_t number;

    if (parse_size(&bytes, text, NULL) == 0 && !bytes.bytes == !bytes.milli_percent)
        abort();
    if (parse_percent(&milli_percent, text, NULL) == 0 &&
        (milli_percent < 1 || milli_percent > 100000))
        abort();
    if (parse_u64(&number, text, 3, 1000, NULL) == 0 && (number < 3 || number > 1000))
        abort();
    (void)!parse_seconds(&number, text, NULL); /* it must not crash */
    if (parse_name(text, NULL) == 0 && (strlen(text) > 63 || strpbrk(text, "/ \t\n")))
        abort();
    if (listen_address_parse(&address, text, NULL) == 0)
        (void)listen_address_is_loopback(&address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (!size)
        return 0;
    text = strndup((const char *)data + 1, size - 1);
    if (!text)
        abort();
    read_option(data[0] % CONFIG_OPTION_COUNT, text);
    read_labels(text);
    read_plain(text);
    free(text);
    return 0;
}
