#include "tests/harness.h"
#include "tests/unit/fake_machine.h"

#include "ipc/message.h"
#include "supervisor/controller.h"
#include "supervisor/gpus.h"
#include "supervisor/guests.h"
#include "supervisor/status.h"
#include "supervisor/tenant.h"
#include "utils/sock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    struct tenant tenant;
    struct region_control control;
    struct guests guests;
    struct controller *controller;
    struct status_source source;
    int ends[2];
    union {
        struct message_header header;
        struct message_status_tenant tenant;
        struct message_status_process process;
        struct message_status_gpu gpu;
        char bytes[MESSAGE_SIZE_MAX];
    } message;
} at;

static void start(void)
{
    const struct gpus_card *cards[2] = {&at.tenant.cards[0], &at.tenant.cards[1]};
    struct err err;

    memset(&at, 0, sizeof(at));
    tenant_init(&at.tenant, "trainer");
    at.tenant.gpu_count = 2;
    for (int i = 0; i < 2; i++)
        at.tenant.quotas[i] = (struct tenant_quota){REGION_NO_LIMIT, 30000, 7, REGION_HIGH, 1};
    at.control.gpu_count = 2;
    CHECK_OK(controller_new(&at.controller, &at.control, cards, &err), &err);
    guests_init(&at.guests, &at.control, at.controller);
    at.source = (struct status_source){&at.tenant, &at.guests, at.controller};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, at.ends), 0);
}

static void stop(void)
{
    controller_free(at.controller);
    close(at.ends[0]);
    close(at.ends[1]);
}

static int receive(void)
{
    ssize_t length = sock_receive(at.ends[1], &at.message, sizeof(at.message), NULL, 0);

    return length < 0 ? (int)length : message_check(&at.message, (size_t)length);
}

TEST(what_is_not_measured_is_not_known)
{
    start();
    CHECK_EQ(status_send(at.ends[0], &at.source), 0);
    CHECK_EQ(receive(), MESSAGE_STATUS_TENANT);
    CHECK_STR_EQ(at.message.tenant.name, "trainer");
    CHECK_EQ(at.message.tenant.process_count, 0);
    CHECK_EQ(receive(), MESSAGE_STATUS_GPU);
    CHECK(at.message.gpu.used_milli_percent == MESSAGE_UNKNOWN);
    CHECK(at.message.gpu.duty_milli_percent == MESSAGE_UNKNOWN);
    CHECK(at.message.gpu.slice_us == MESSAGE_UNKNOWN);
    CHECK(at.message.gpu.memory_limit_bytes == REGION_NO_LIMIT);
    CHECK_EQ(at.message.gpu.cap_milli_percent, 30000);
    CHECK_EQ(at.message.gpu.weight, 7);
    CHECK_EQ(receive(), MESSAGE_STATUS_GPU);
    CHECK_EQ(receive(), -EAGAIN);
    stop();
}

TEST(a_gpu_that_the_tenant_may_not_use_is_not_told)
{
    start();
    at.tenant.quotas[0].is_allowed = 0;
    CHECK_EQ(status_send(at.ends[0], &at.source), 0);
    CHECK_EQ(receive(), MESSAGE_STATUS_TENANT);
    CHECK_EQ(receive(), MESSAGE_STATUS_GPU);
    CHECK_EQ(receive(), -EAGAIN);
    stop();
}

TEST(counters_of_the_living_and_the_gone_are_summed)
{
    struct guest guest = {.pid = 42, .comm = "python3", .counters = {.refusals = 3}};

    start();
    list_init(&guest.node);
    list_append(&at.guests.head, &guest.node);
    at.guests.count = 1;
    at.guests.gone.refusals = 4;
    CHECK_EQ(status_send(at.ends[0], &at.source), 0);
    CHECK_EQ(receive(), MESSAGE_STATUS_TENANT);
    CHECK_EQ(at.message.tenant.refusals, 7);
    CHECK_EQ(at.message.tenant.process_count, 1);
    CHECK_EQ(receive(), MESSAGE_STATUS_PROCESS);
    CHECK_EQ(at.message.process.pid, 42);
    CHECK_STR_EQ(at.message.process.comm, "python3");
    list_remove(&guest.node);
    stop();
}

TEST(who_asks_and_does_not_read_stops_nobody)
{
    int rc = 0;

    start();
    for (int i = 0; i < 10000 && !rc; i++)
        rc = status_send(at.ends[0], &at.source);
    CHECK_EQ(rc, -EAGAIN);
    stop();
}

/* Suspended on both GPUs, with a channel on the first, whose driver refuses. */
static void disobey(const struct fake_program *program)
{
    const struct controller_object channel = {.pid = program->pid,
                                              .fd = program->fd,
                                              .client = program->client,
                                              .subdevice = program->subdevice,
                                              .group = program->group,
                                              .channel = program->channel,
                                              .engine = 1};
    struct controller_state state = {.engine = REGION_ENGINE_RM};

    fake_machine_set_fault("disable-refused");
    controller_set_armed(at.controller, program->pid, true);
    for (uint32_t slot = 0; slot < 2; slot++)
        controller_set_quota(at.controller, slot,
                             &(struct controller_quota){100000, 1, REGION_NORMAL, true});
    CHECK_EQ(controller_add(at.controller, &channel), 0);
    while (state.engine == REGION_ENGINE_RM) {
        (void)usleep(1000);
        controller_get_state(at.controller, 0, &state);
    }
    at.tenant.engine = REGION_ENGINE_MEMORY_ONLY; /* as is said of all of it then */
}

static void check_state(uint32_t state)
{
    CHECK_EQ(status_send(at.ends[0], &at.source), 0);
    CHECK_EQ(receive(), MESSAGE_STATUS_TENANT);
    CHECK_EQ(at.message.tenant.state, state);
    while (receive() != -EAGAIN)
        ;
}

TEST(a_tenant_is_suspended_where_the_scheduler_obeys_on_one_of_its_gpus)
{
    struct fake_program program;

    fake_machine_start(1, true);
    program = fake_program_start(4242);
    start();
    check_state(MESSAGE_RUNNING);
    at.tenant.is_suspended = 1;
    check_state(MESSAGE_SUSPENDED);
    disobey(&program);
    check_state(MESSAGE_SUSPENDED);
    at.tenant.quotas[1].is_allowed = 0;
    check_state(MESSAGE_RUNNING);
    stop();
    fake_program_end(&program);
    fake_machine_stop();
}

TEST(whose_it_is_and_whether_it_stays_is_told)
{
    start();
    at.tenant.uid = 1234;
    at.tenant.is_kept = 1;
    at.tenant.on_loss = REGION_CLOSED;
    CHECK_EQ(status_send(at.ends[0], &at.source), 0);
    CHECK_EQ(receive(), MESSAGE_STATUS_TENANT);
    CHECK_EQ(at.message.tenant.uid, 1234);
    CHECK_EQ(at.message.tenant.is_kept, 1);
    CHECK_EQ(at.message.tenant.on_loss, REGION_CLOSED);
    CHECK_EQ(at.message.tenant.state, MESSAGE_RUNNING);
    stop();
}
