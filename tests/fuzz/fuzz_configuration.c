/*
 * The libFuzzer target of the daemon's configuration file and of the list of models: any bytes as a
 * file. What is accepted is printed, and what is printed is accepted and means the same.
 */
#include "hypervisor/config_check.h"
#include "hypervisor/config_file.h"
#include "hypervisor/config_print.h"
#include "hypervisor/gpu_info.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config first, second;

static bool read_text(struct config *config, const char *text, size_t length)
{
    struct err err;

    config_init(config);
    return config_file_parse(config, "f", text, length, &err) == 0 &&
           config_check(config, &err) == 0;
}

static void check_round(void)
{
    struct err err;
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);

    if (!file || config_print(&first, file, &err) < 0 || fclose(file))
        abort();
    if (!read_text(&second, text, length))
        abort();
    for (unsigned int option = 0; option < CONFIG_OPTION_COUNT; option++)
        if (!config_value_equals(&config_rows[option].type, config_value(&first, option),
                                 config_value(&second, option)))
            abort();
    if (first.policy.count != second.policy.count)
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gpu_info *info;

    if (read_text(&first, (const char *)data, size))
        check_round();
    if (gpu_info_parse(&info, "f", (const char *)data, size, NULL) == 0)
        gpu_info_free(info);
    return 0;
}
