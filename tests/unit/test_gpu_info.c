#include "hypervisor/gpu_info.h"

#include "tests/harness.h"

#include <errno.h>
#include <string.h>

static struct gpu_info *read_it(const char *text)
{
    struct gpu_info *info = NULL;
    struct err err = {0};

    CHECK_OK(gpu_info_parse(&info, "f.yaml", text, strlen(text), &err), &err);
    return info;
}

TEST(a_gpu_is_found_by_either_name_as_it_is)
{
    struct gpu_info *info = read_it("- model: T4\n"
                                    "  fullModelName: \"Tesla T4\"\n"
                                    "  vendor: NVIDIA\n"
                                    "  costPerHour: 0.53\n"
                                    "  fp16TFlops: 65\n"
                                    "- model: RTX3090\n"
                                    "  fullModelName: NVIDIA GeForce RTX 3090\n"
                                    "  fp16TFlops: 71.2\n");
    double tflops = 0;

    CHECK_EQ(gpu_info_find(info, "Tesla T4", &tflops), 0);
    CHECK_NEAR(tflops, 65, 0);
    CHECK_EQ(gpu_info_find(info, "RTX3090", &tflops), 0);
    CHECK_NEAR(tflops, 71.2, 1e-9);
    CHECK_EQ(gpu_info_find(info, "tesla t4", &tflops), -ENOENT);
    CHECK_EQ(gpu_info_find(info, "", &tflops), -ENOENT);
    CHECK_NEAR(tflops, 71.2, 1e-9);
    gpu_info_free(info);
}

TEST(what_is_not_said_is_not_known)
{
    struct gpu_info *info = read_it("- model: A\n- model: B\n  other: [1, 2]\n  fp16TFlops: 0\n");
    double tflops = 5;

    CHECK_EQ(gpu_info_find(info, "A", &tflops), -ENOENT);
    CHECK_EQ(gpu_info_find(info, "B", &tflops), 0);
    CHECK_NEAR(tflops, 0, 0);
    gpu_info_free(info);
    info = read_it("");
    CHECK_EQ(gpu_info_find(info, "A", &tflops), -ENOENT);
    gpu_info_free(info);
    CHECK_EQ(gpu_info_find(NULL, "A", &tflops), -ENOENT);
    gpu_info_free(NULL);
}

TEST(what_is_no_such_list_is_refused_with_its_place)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"model: T4", "f.yaml:1:1: expected is a list"},
        {"- vendor: NVIDIA", "f.yaml:1:3: the entry has neither"},
        {"- model: T4\n  fp16TFlops: fast", "f.yaml:2:15: fp16TFlops is not a number"},
        {"- model: T4\n  fp16TFlops: -1", "f.yaml:2:15: fp16TFlops is not a number"},
        {"- model: T4\n  fp16TFlops: .nan", "fp16TFlops is not a number"},
        {"- model: [T4]", "f.yaml:1:10: not a model's name"},
        {"- T4", "f.yaml:1:3: "},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct gpu_info *info = NULL;
        struct err err = {0};

        CHECK_EQ(gpu_info_parse(&info, "f.yaml", bad[i].text, strlen(bad[i].text), &err), -EINVAL);
        if (!strstr(err.text, bad[i].words))
            CHECK_STR_EQ(err.text, bad[i].words);
        CHECK(info == NULL);
    }
}

TEST(a_file_that_is_missing_knows_nothing)
{
    double tflops;
    struct gpu_info *info = NULL;
    struct err err = {0};

    CHECK_EQ(gpu_info_load(&info, "/nowhere/gpu-info.yaml", &err), -ENOENT);
    CHECK(gpu_info_open("/nowhere/gpu-info.yaml") == NULL);
    CHECK_EQ(gpu_info_find(gpu_info_open(""), "T4", &tflops), -ENOENT);
}
