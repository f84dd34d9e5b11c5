#include "cli/command.h"
#include "cli/commands.h"
#include "cli/doctor.h"
#include "utils/log.h"
#include "utils/str.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void print_json(const struct doctor *doctor)
{
    json_t *array = json_array();

    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_check *check = &doctor->checks[i];
        json_t *works = check->works == DOCTOR_NOT_TESTED
                            ? json_null()
                            : json_boolean(check->works == DOCTOR_WORKS);

        (void)json_array_append_new(array,
                                    json_pack("{s:s, s:o, s:s, s:s}", "check", check->name, "works",
                                              works, "how", check->how, "then", check->then));
    }
    (void)json_dumpf(array, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(array);
}

static void print_text(const struct doctor *doctor)
{
    static const char *const words[] = {"works", "does not", "not tested"};
    static const char *const colours[] = {"\033[32m", "\033[31m", "\033[33m"};
    bool is_coloured = isatty(STDOUT_FILENO);

    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_check *check = &doctor->checks[i];

        printf("%s%-10s%s  %-24s %s: %s\n", is_coloured ? colours[check->works] : "",
               words[check->works], is_coloured ? "\033[0m" : "", check->name, check->how,
               check->then);
    }
}

static void look_at_nvml(struct doctor *doctor, struct gpus *gpus)
{
    struct err err = {0};
    bool is_there = gpus_load_nvml(gpus, &err) == 0;
    struct doctor_check *check =
        doctor_add(doctor, "NVML", is_there ? DOCTOR_WORKS : DOCTOR_DOES_NOT);

    (void)str_format(check->how, sizeof(check->how), "%s",
                     is_there ? gpus_name(gpus, 0) : err.text); /* cut at worst */
    (void)str_format(check->then, sizeof(check->then), "%s",
                     is_there ? "utilisation corrects what the switch records cannot see"
                              : "a capped tenant that idles by itself gets less than its cap");
}

static void look_at_driver(struct doctor *doctor)
{
    struct doctor_check *check;
    struct gpus *gpus = NULL;
    struct err err = {0};

    if (gpus_open(&gpus, &err) < 0) {
        check = doctor_add(doctor, "driver", DOCTOR_DOES_NOT);
        (void)str_format(check->how, sizeof(check->how), "%s", err.text); /* cut at worst */
        (void)str_format(check->then, sizeof(check->then), "%s",
                         "to try vgpu without a GPU: vgpu sim -- vgpu doctor");
        return;
    }
    check = doctor_add(doctor, "driver", gpus_silent_count(gpus) ? DOCTOR_DOES_NOT : DOCTOR_WORKS);
    if (gpus_silent_count(gpus))
        (void)str_format(check->how, sizeof(check->how), "version %s, %u of %u GPUs do not answer",
                         gpus_driver_version(gpus), gpus_silent_count(gpus),
                         gpus_silent_count(gpus) + gpus_count(gpus));
    else
        (void)str_format(check->how, sizeof(check->how), "version %s, %u GPU%s",
                         gpus_driver_version(gpus), gpus_count(gpus),
                         gpus_count(gpus) == 1 ? "" : "s");
    (void)str_format(check->then, sizeof(check->then), "tenants can run%s",
                     gpus_silent_count(gpus) ? " on the others" : "");
    look_at_nvml(doctor, gpus);
    for (uint32_t i = 0; i < gpus_count(gpus); i++)
        doctor_try_gpu(doctor, gpus, i);
    gpus_close(gpus);
}

int cmd_doctor(const struct command_line *line)
{
    CLEANUP_FREE struct doctor *doctor = calloc(1, sizeof(*doctor));
    struct err err = {0};

    if (line->operand_count)
        return command_usage_error(line, "'%s' is not understood", line->operands[0]);
    if (!doctor || runtime_open(&doctor->runtime, &err) < 0) {
        log_error("doctor: %s", doctor ? err.text : "out of memory");
        return COMMAND_FAILED;
    }
    look_at_driver(doctor);
    doctor_look_at_machine(doctor);
    if (command_has(line, "json"))
        print_json(doctor);
    else
        print_text(doctor);
    for (size_t i = 0; i < doctor->count; i++)
        if (doctor->checks[i].works == DOCTOR_DOES_NOT)
            return COMMAND_FAILED;
    return COMMAND_OK;
}
