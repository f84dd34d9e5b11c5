#include "cli/client.h"
#include "cli/doctor.h"
#include "cli/trial.h"
#include "supervisor/verdict.h"
#include "utils/str.h"

#include <errno.h>
#include <math.h>

#define MIB              (UINT64_C(1) << 20)
#define CAP_PERCENT      10.0
#define CAP_NEAR_PERCENT 4.0
#define WEIGHT_PART      0.2 /* of one with weight 1 beside one with weight 4 */
#define WEIGHT_NEAR_PART 0.1
#define SECONDS          0.5
#define WARM_UP_SECONDS  0.25

enum { LIGHT, HEAVY, CAPPED, TENANTS };

/* What the middle of the trial looks like from outside. */
struct probe {
    const struct doctor *doctor;
    struct trial_setup *setup;
    struct gpus *gpus;
    uint32_t position;
    bool is_seen, has_nvml;
    uint64_t ledger_bytes, nvml_bytes, unparsed;
    struct trial_figures figures[TENANTS];
};

static void watch(void *context)
{
    struct probe *probe = context;
    struct client_tenant status;
    char name[64];

    trial_name(probe->setup, name, "doctor-capped");
    if (client_status(&probe->doctor->runtime, name, &status, NULL) < 0)
        return;
    if (status.process_count == 1) {
        probe->is_seen = true;
        probe->unparsed = status.tenant.rm_unparsed;
        for (size_t i = 0; i < REGION_GPUS_MAX; i++)
            if (status.processes[0].memory_bytes[i] != MESSAGE_UNKNOWN)
                probe->ledger_bytes += status.processes[0].memory_bytes[i];
        probe->has_nvml = gpus_process_memory(probe->gpus, probe->position, status.processes[0].pid,
                                              &probe->nvml_bytes) == 0;
    }
    client_tenant_fini(&status);
}

static int run_probe(struct probe *probe, struct err *err)
{
    char options[TENANTS][64];
    const char *const parts[TENANTS] = {"--weight 1", "--weight 4", "--compute 10%"};
    struct trial_tenant tenants[TENANTS] = {
        [LIGHT] = {.name = "doctor-light", .burn_options = "--kernel-us 100"},
        [HEAVY] = {.name = "doctor-heavy", .burn_options = "--kernel-us 100"},
        [CAPPED] = {.name = "doctor-capped", .burn_options = "--kernel-us 100 --memory 256MiB"}};
    /*
     * The capped one runs alone: beside others its slice alone is worth nearly its cap, so that a
     * driver that disables nothing would pass.
     */
    struct trial shared = {.tenants = tenants,
                           .count = CAPPED,
                           .seconds = SECONDS,
                           .warm_up_seconds = WARM_UP_SECONDS};
    struct trial alone = {.tenants = &tenants[CAPPED],
                          .count = 1,
                          .seconds = SECONDS,
                          .warm_up_seconds = WARM_UP_SECONDS,
                          .watch = watch,
                          .context = probe};
    int rc;

    for (size_t i = 0; i < TENANTS; i++) {
        (void)str_format(options[i], sizeof(options[i]), "%s --gpu %u", parts[i],
                         gpus_card(probe->gpus, probe->position)->nvml_index); /* fits */
        tenants[i].run_options = options[i];
    }
    rc = trial_setup_new(&probe->setup, err);
    if (rc < 0)
        return rc;
    rc = trial_run(probe->setup, &shared, probe->figures, err);
    if (!rc)
        rc = trial_run(probe->setup, &alone, &probe->figures[CAPPED], err);
    trial_setup_free(probe->setup);
    for (size_t i = 0; i < TENANTS && !rc; i++)
        if (!probe->figures[i].is_there)
            rc = err_say(err, EIO, "tenants that keep it busy did not run");
    return rc;
}

static struct doctor_check *add(struct doctor *doctor, const char *name, uint32_t index,
                                enum doctor_works works)
{
    char text[64];

    (void)str_format(text, sizeof(text), "%s, GPU %u", name, index); /* fits */
    return doctor_add(doctor, text, works);
}

static void set(struct doctor_check *check, const char *then, const char *how, ...)
    PRINTF_LIKE(3, 4);

static void set(struct doctor_check *check, const char *then, const char *how, ...)
{
    struct str str;
    va_list args;

    str_init(&str, check->how, sizeof(check->how));
    va_start(args, how);
    str_add_list(&str, how, args);
    va_end(args);
    (void)str_format(check->then, sizeof(check->then), "%s", then); /* cut at worst */
}

static void judge_calls(struct doctor *doctor, const struct probe *probe, uint32_t index)
{
    if (!probe->is_seen)
        set(add(doctor, "RM calls parsed", index, DOCTOR_NOT_TESTED), "limits may not hold",
            "the tenant of the trial could not be asked");
    else if (probe->unparsed)
        set(add(doctor, "RM calls parsed", index, DOCTOR_DOES_NOT),
            "the driver is newer than what is known here: memory may go uncounted",
            "%llu calls of the trial were of unknown form", (unsigned long long)probe->unparsed);
    else
        set(add(doctor, "RM calls parsed", index, DOCTOR_WORKS), "every allocation is judged",
            "every call of the trial was understood");
}

static void judge_memory(struct doctor *doctor, const struct probe *probe, uint32_t index)
{
    uint64_t mine_mib = probe->ledger_bytes / MIB, nvml_mib = probe->nvml_bytes / MIB;

    if (!probe->is_seen || !probe->has_nvml)
        set(add(doctor, "memory exact", index, DOCTOR_NOT_TESTED), "nothing to compare with",
            "NVML does not tell of the trial's process");
    else if (mine_mib != nvml_mib)
        set(add(doctor, "memory exact", index, DOCTOR_DOES_NOT),
            "memory limits hold for what is counted here", "%llu MiB counted, NVML says %llu MiB",
            (unsigned long long)mine_mib, (unsigned long long)nvml_mib);
    else
        set(add(doctor, "memory exact", index, DOCTOR_WORKS), "memory limits hold to the byte",
            "%llu MiB counted, NVML says the same", (unsigned long long)mine_mib);
}

static bool judge_scheduler(struct doctor *doctor, const struct probe *probe, uint32_t index)
{
    double light = probe->figures[LIGHT].share_percent, heavy = probe->figures[HEAVY].share_percent;
    double capped = probe->figures[CAPPED].share_percent;
    bool has_slices = fabs(light / (light + heavy) - WEIGHT_PART) < WEIGHT_NEAR_PART;
    bool has_caps = fabs(capped - CAP_PERCENT) < CAP_NEAR_PERCENT;

    set(add(doctor, "slices obeyed", index, has_slices ? DOCTOR_WORKS : DOCTOR_DOES_NOT),
        has_slices ? "weights and priorities hold" : "weights and priorities have no effect",
        "weights 1 and 4 %s%.1f %% and %.1f %%", has_slices ? "got " : "were accepted but got ",
        light, heavy);
    set(add(doctor, "disable obeyed", index, has_caps ? DOCTOR_WORKS : DOCTOR_DOES_NOT),
        has_caps ? "compute caps hold"
                 : "compute caps have no effect: the memory limit alone holds",
        "a cap of 10 %% %s%.1f %%", has_caps ? "got " : "was accepted but got ", capped);
    return has_caps;
}

static void skip(struct doctor *doctor, uint32_t index, const char *why)
{
    static const char *const names[] = {"RM calls parsed", "memory exact", "slices obeyed",
                                        "disable obeyed"};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        set(add(doctor, names[i], index, DOCTOR_NOT_TESTED),
            "try again when nothing is wrong there", "%s", why);
}

void doctor_try_gpu(struct doctor *doctor, struct gpus *gpus, uint32_t position)
{
    struct probe probe = {.doctor = doctor, .gpus = gpus, .position = position};
    const struct gpus_card *card = gpus_card(gpus, position);
    const char *version = gpus_driver_version(gpus);
    struct err err = {0};
    bool is_obeying;

    /* What was seen before must not decide what is tried now. */
    if (verdict_save(&doctor->runtime, card->uuid, version, VERDICT_NONE, &err) < 0 ||
        run_probe(&probe, &err) < 0) {
        skip(doctor, card->nvml_index, err.text);
        return;
    }
    judge_calls(doctor, &probe, card->nvml_index);
    judge_memory(doctor, &probe, card->nvml_index);
    is_obeying = judge_scheduler(doctor, &probe, card->nvml_index);
    if (verdict_save(&doctor->runtime, card->uuid, version,
                     is_obeying ? VERDICT_OBEYS : VERDICT_INERT, &err) < 0)
        set(add(doctor, "verdict kept", card->nvml_index, DOCTOR_DOES_NOT),
            "'vgpu run' has to see for itself", "%s", err.text);
}
