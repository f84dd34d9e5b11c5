#include "hypervisor/api_tenants.h"

#include "hypervisor/log_levels.h"
#include "hypervisor/request.h"
#include "hypervisor/snapshot.h"
#include "tests/harness.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>

static struct request request;

static int create(const char *body, struct err *err)
{
    struct snapshot *snapshot = snapshot_new(0);
    int rc;

    snapshot->gpu_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        (void)str_format(snapshot->gpus[i].uuid, sizeof(snapshot->gpus[i].uuid), "GPU-%u", i);
        snapshot->gpus[i].nvml_index = i * 5;
    }
    memset(&request, 0, sizeof(request));
    rc = api_tenants_read_create(&request, snapshot, body, strlen(body), err);
    snapshot_release(snapshot);
    return rc;
}

static int change(const char *body, struct err *err)
{
    memset(&request, 0, sizeof(request));
    return api_tenants_read_change(&request, body, strlen(body), err);
}

TEST(a_body_becomes_a_request)
{
    struct err err;

    CHECK_OK(create("{\"name\":\"a\",\"memory\":\"40%\",\"compute\":12.5,\"weight\":3,"
                    "\"priority\":\"low\",\"gpus\":[0,\"GPU-1\"],\"on_loss\":\"closed\","
                    "\"queue_seconds\":1.5}",
                    &err),
             &err);
    CHECK_EQ(request.kind, REQUEST_CREATE);
    CHECK_STR_EQ(request.name, "a");
    CHECK_EQ(request.limits.fields,
             MESSAGE_SET_MEMORY | MESSAGE_SET_COMPUTE | MESSAGE_SET_WEIGHT | MESSAGE_SET_PRIORITY);
    CHECK_EQ(request.limits.memory_milli_percent, 40000);
    CHECK_EQ(request.limits.cap_milli_percent, 12500);
    CHECK_EQ(request.limits.weight, 3);
    CHECK_EQ(request.limits.priority, REGION_LOW);
    CHECK_EQ(request.gpu_mask, 1u << 0 | 1u << 5);
    CHECK_EQ(request.on_loss, REGION_CLOSED);
    CHECK_EQ(request.queue_ns, 3 * NS_PER_SEC / 2);
    CHECK_EQ(request.is_kept, true);
    CHECK_EQ(request.front_fd, -1);
}

TEST(an_empty_object_asks_for_the_defaults)
{
    struct err err;

    CHECK_OK(create("{}", &err), &err);
    CHECK_EQ(request.limits.fields, 0);
    CHECK_EQ(request.gpu_mask, 0);
    CHECK_STR_EQ(request.name, "");
}

TEST(sizes_are_numbers_or_text)
{
    struct err err;

    CHECK_OK(create("{\"memory\":8589934592}", &err), &err);
    CHECK_EQ(request.limits.memory_bytes, 8589934592);
    CHECK_EQ(request.limits.memory_milli_percent, 0);
    CHECK_OK(create("{\"memory\":\"8GiB\"}", &err), &err);
    CHECK_EQ(request.limits.memory_bytes, 8589934592);
    CHECK_OK(create("{\"compute\":30}", &err), &err);
    CHECK_EQ(request.limits.cap_milli_percent, 30000);
    CHECK_OK(create("{\"compute\":33.333}", &err), &err);
    CHECK_EQ(request.limits.cap_milli_percent, 33333);
    CHECK_OK(create("{\"compute\":\"30%\"}", &err), &err);
    CHECK_EQ(request.limits.cap_milli_percent, 30000);
}

TEST(null_lifts_a_limit)
{
    struct err err;

    CHECK_OK(change("{\"memory\":null,\"compute\":null}", &err), &err);
    CHECK_EQ(request.kind, REQUEST_CHANGE);
    CHECK(request.limits.memory_bytes == REGION_NO_LIMIT);
    CHECK_EQ(request.limits.cap_milli_percent, 100000);
}

TEST(suspending_alone_is_a_request_of_its_own)
{
    struct err err;

    CHECK_OK(change("{\"suspended\":true}", &err), &err);
    CHECK_EQ(request.kind, REQUEST_SUSPEND);
    CHECK_OK(change("{\"suspended\":false}", &err), &err);
    CHECK_EQ(request.kind, REQUEST_RESUME);
    CHECK_OK(change("{\"suspended\":true,\"weight\":2}", &err), &err);
    CHECK_EQ(request.kind, REQUEST_CHANGE);
    CHECK_EQ(request.limits.fields, MESSAGE_SET_SUSPENDED | MESSAGE_SET_WEIGHT);
    CHECK_EQ(request.limits.is_suspended, 1);
}

TEST(what_is_wrong_is_named)
{
    struct err err;

    CHECK_EQ(create("{\"wieght\":1}", &err), -EINVAL);
    CHECK_STR_EQ(err.text, "\"wieght\" is not known here");
    CHECK(create("{\"weight\":0}", &err) < 0);
    CHECK_STR_EQ(err.text, "\"weight\": a whole number between 1 and 1000");
    CHECK(create("{\"gpus\":[0,1]}", &err) < 0);
    CHECK_STR_EQ(err.text, "\"gpus\": no GPU of this node is meant by number 2 of the list");
    CHECK(create("{\"compute\":100.0005}", &err) < 0);
    CHECK(create("{\"compute\":-1}", &err) < 0);
    CHECK(create("{\"memory\":0}", &err) < 0);
    CHECK(create("[]", &err) < 0);
    CHECK_STR_EQ(err.text, "the body is no JSON object");
    CHECK(create("", &err) < 0);
    CHECK(create("{\"name\":\"a\",\"name\":\"a\"}", &err) < 0);
    CHECK(create("{\"suspended\":true}", &err) < 0);
    CHECK(change("{\"name\":\"a\"}", &err) < 0);
    CHECK(change("{}", &err) < 0);
    CHECK_STR_EQ(err.text, "nothing is changed by this");
}

static int read_levels(struct log_levels *ret_levels, const char *body, struct err *err)
{
    return api_tenants_read_levels(ret_levels, body, strlen(body), err);
}

TEST(flags_and_levels_are_words)
{
    struct log_levels levels;
    struct err err;
    bool flag = false;

    CHECK_EQ(api_tenants_read_flag(&flag, "true", NULL), 0);
    CHECK_EQ(flag, true);
    CHECK_EQ(api_tenants_read_flag(&flag, NULL, NULL), 0);
    CHECK_EQ(flag, false);
    CHECK_EQ(api_tenants_read_flag(&flag, "1", NULL), -EINVAL);
    CHECK_EQ(read_levels(&levels, "{\"level\":\"warn,http=debug\"}", NULL), 0);
    CHECK_EQ(levels.standard, LOG_LEVEL_WARN);
    CHECK_EQ(levels.count, 1);
    CHECK_EQ(read_levels(&levels, "{\"level\":\"loud\"}", &err), -EINVAL);
    CHECK_STR_EQ(err.text, "'loud' is no level: off, error, warn, info or debug");
    CHECK_EQ(read_levels(&levels, "{}", NULL), -EINVAL);
    CHECK_EQ(read_levels(&levels, "{\"level\":\"\"}", NULL), -EINVAL);
    CHECK_EQ(read_levels(&levels, "{\"level\":3}", NULL), -EINVAL);
    CHECK_EQ(read_levels(&levels, "{\"level\":\"info\",\"x\":1}", NULL), -EINVAL);
}
