#include "cli/doctor.h"
#include "utils/file.h"
#include "utils/str.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct doctor_check *doctor_add(struct doctor *doctor, const char *name, enum doctor_works works)
{
    struct doctor_check *check = &doctor->checks[doctor->count];

    if (doctor->count + 1 < DOCTOR_CHECKS_MAX)
        doctor->count++;
    *check = (struct doctor_check){.works = works};
    (void)str_format(check->name, sizeof(check->name), "%s", name); /* cut at worst, as all here */
    return check;
}

static void say(char *text, const char *words)
{
    (void)str_format(text, DOCTOR_TEXT_MAX, "%s", words);
}

static void look_at_pidfd(struct doctor *doctor)
{
    CLEANUP_CLOSE int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    struct doctor_check *check =
        doctor_add(doctor, "pidfd", fd >= 0 ? DOCTOR_WORKS : DOCTOR_DOES_NOT);

    if (fd >= 0) {
        say(check->how, "this program opened one of itself");
        say(check->then, "what a killed process held is free at once");
    } else {
        (void)str_format(check->how, sizeof(check->how), "pidfd_open: %s", strerror(errno));
        say(check->then, "tenants need Linux 5.4 or newer, and a sandbox that allows the call");
    }
}

static bool is_mps(const char *pid)
{
    char path[300], comm[64];

    (void)str_format(path, sizeof(path), "/proc/%s/comm", pid);
    return file_read(path, comm, sizeof(comm), NULL) > 0 &&
           str_starts_with(comm, "nvidia-cuda-mps");
}

static bool runs_mps(void)
{
    DIR *directory = opendir("/proc");
    const struct dirent *entry;
    bool is_found = false;

    while (directory && !is_found && (entry = readdir(directory)))
        is_found = isdigit((unsigned char)entry->d_name[0]) && is_mps(entry->d_name);
    if (directory)
        (void)closedir(directory);
    return is_found;
}

static void look_at_mps(struct doctor *doctor)
{
    const char *pipes = getenv("CUDA_MPS_PIPE_DIRECTORY");
    char path[4096];
    bool is_there, is_running = runs_mps();
    struct doctor_check *check;

    (void)str_format(path, sizeof(path), "%s/control", pipes ? pipes : "/tmp/nvidia-mps");
    is_there = access(path, F_OK) == 0;
    check = doctor_add(doctor, "no MPS", is_there || is_running ? DOCTOR_DOES_NOT : DOCTOR_WORKS);
    if (is_running || is_there) {
        (void)str_format(check->how, sizeof(check->how), "%s",
                         is_running ? "an MPS process runs" : "MPS has its pipe here");
        say(check->then,
            "clients of MPS are one to the scheduler: stop it, or their limits do not hold");
    } else {
        say(check->how, "no MPS process and no pipe of one");
        say(check->then, "each process is scheduled by itself");
    }
}

static void look_at_wsl(struct doctor *doctor)
{
    bool is_wsl = access("/dev/dxg", F_OK) == 0;
    struct doctor_check *check =
        doctor_add(doctor, "no WSL", is_wsl ? DOCTOR_DOES_NOT : DOCTOR_WORKS);

    say(check->how, is_wsl ? "/dev/dxg is here" : "there is no /dev/dxg");
    say(check->then, is_wsl ? "Windows schedules the GPU: no limit can be enforced"
                            : "the driver's own calls reach the GPU");
}

static void look_at_sandbox(struct doctor *doctor)
{
    char version[256] = "", status[4096] = "";
    const char *line;
    bool is_gvisor, is_filtered;
    struct doctor_check *check;

    /* What cannot be read says nothing. */
    if (file_read("/proc/version", version, sizeof(version), NULL) < 0)
        version[0] = '\0';
    if (file_read("/proc/self/status", status, sizeof(status), NULL) < 0)
        status[0] = '\0';
    is_gvisor = strstr(version, "gVisor") != NULL;
    line = strstr(status, "\nSeccomp:\t");
    is_filtered = line && line[strlen("\nSeccomp:\t")] == '2';
    check = doctor_add(doctor, "no sandbox",
                       is_gvisor     ? DOCTOR_DOES_NOT
                       : is_filtered ? DOCTOR_NOT_TESTED
                                     : DOCTOR_WORKS);
    if (is_gvisor) {
        say(check->how, "the kernel is gVisor's");
        say(check->then, "it passes on only calls of the driver that it knows");
    } else if (is_filtered) {
        say(check->how, "a seccomp filter is on; what it lets through cannot be asked");
        say(check->then, "the checks of the GPU say whether the calls arrive");
    } else {
        say(check->how, "no seccomp filter");
        say(check->then, "all calls of the driver arrive");
    }
}

void doctor_look_at_machine(struct doctor *doctor)
{
    look_at_pidfd(doctor);
    look_at_mps(doctor);
    look_at_wsl(doctor);
    look_at_sandbox(doctor);
}
