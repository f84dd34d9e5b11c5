#include "tests/unit/control_loop.h"

#include <math.h>
#include <stdlib.h>

#define SAVE_NS    UINT64_C(95000) /* taken off each closed interval, as the census does */
#define FLUSH_NS   (40 * US)
#define PLAN_NS    (20 * MS)
#define ACTIVE_NS  (500 * MS)
#define KERNEL_NS  (10 * MS)
#define SPAN_NS    (100 * MS)
#define DRAW_ORDER UINT64_C(2685821657736338717)

static uint64_t draw(struct loop *loop, uint64_t least, uint64_t most)
{
    uint64_t x = loop->random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    loop->random = x;
    return least + ((x * DRAW_ORDER) >> 11) % (most - least + 1);
}

/* --- the tenants' work --- */

static bool peek(void *owner, uint64_t number, struct gpu_work *ret_work)
{
    struct loop_group *group = owner;
    const struct loop_tenant *tenant = group->tenant;
    uint64_t submit_ns = group->next_submit_ns;

    if (number != group->finished_count + 1) {
        if (!tenant->period_ns)
            return false; /* not submitted before the one before it has ended */
        submit_ns += tenant->period_ns;
    }
    *ret_work = (struct gpu_work){
        .submit_ns = submit_ns, .duration_ns = tenant->kernel_ns, .kind = GPU_KERNEL};
    return true;
}

static bool is_blocked(void *owner, uint64_t number)
{
    return false;
}

static void progress(void *owner, uint64_t number, uint64_t done_ns)
{
}

static void finish(void *owner, uint64_t number, uint64_t started_ns, uint64_t finished_ns)
{
    struct loop_group *group = owner;
    struct loop_tenant *tenant = group->tenant;

    if (tenant->delay_count < LOOP_DELAYS_MAX)
        tenant->delays_us[tenant->delay_count++] =
            (double)(finished_ns - group->next_submit_ns) / 1000.0;
    group->finished_count = number;
    if (tenant->period_ns)
        group->next_submit_ns += tenant->period_ns;
    else
        group->next_submit_ns = finished_ns + tenant->sleep_ns;
}

static uint64_t wanted(void *owner)
{
    return GPU_NEVER;
}

static const struct gpu_source source = {peek, is_blocked, progress, finish, wanted};

/* --- what the records say --- */

static void on_record(void *owner, bool is_start, const struct gpu_identity *identity,
                      uint64_t time_ns)
{
    struct loop *loop = owner;
    struct loop_tenant *tenant = &loop->tenants[identity->pid - 1];

    tenant->active_until_ns = time_ns + ACTIVE_NS;
    if (is_start) {
        tenant->on_engine = true;
        tenant->since_ns = time_ns;
        return;
    }
    if (!tenant->on_engine)
        return;
    tenant->on_engine = false;
    tenant->closed_ns += time_ns - tenant->since_ns;
    tenant->interval_count++;
}

static void on_sample(void *owner, uint64_t busy_ns, uint64_t time_ns)
{
}

static const struct gpu_listener listener = {on_record, on_sample};

static struct budget_measure measure(const struct loop_tenant *tenant, uint64_t now_ns)
{
    uint64_t net_ns = tenant->closed_ns - tenant->interval_count * SAVE_NS;

    if (tenant->on_engine && now_ns > tenant->since_ns)
        net_ns += now_ns - tenant->since_ns;
    return (struct budget_measure){.net_ns = net_ns, .is_on_engine = tenant->on_engine};
}

/* --- the driver's calls --- */

static void count_call(struct loop *loop, struct loop_tenant *tenant, uint64_t now_ns)
{
    uint64_t begin = loop->switch_calls > LOOP_CALLS_MAX ? loop->switch_calls - LOOP_CALLS_MAX : 0;
    uint64_t number = loop->switch_calls, recent = 1;

    while (number > begin && loop->call_times_ns[(number - 1) % LOOP_CALLS_MAX] + SECOND > now_ns) {
        number--;
        recent++;
    }
    if (recent > loop->most_calls_a_second)
        loop->most_calls_a_second = recent;
    loop->call_times_ns[loop->switch_calls++ % LOOP_CALLS_MAX] = now_ns;
    tenant->calls++;
}

/* The measured delays: docs/design/control-law.md, and sim/rm_command.c. */
static uint64_t act(struct loop_tenant *tenant, uint64_t now_ns, enum budget_action action)
{
    struct loop *loop = tenant->loop;
    bool is_enable = action == BUDGET_ENABLE;
    uint64_t effect_ns =
        now_ns + (is_enable ? draw(loop, 36 * US, 116 * US) : draw(loop, 104 * US, 204 * US));

    if (action == BUDGET_KEEP)
        return now_ns;
    for (uint32_t i = 0; i < tenant->group_count; i++)
        gpu_switch_channel(&tenant->groups[i].channel, is_enable, effect_ns);
    if (is_enable && tenant->is_off)
        tenant->off_ns += now_ns - tenant->off_since_ns;
    tenant->is_off = !is_enable;
    if (!is_enable)
        tenant->off_since_ns = now_ns;
    else if (now_ns - tenant->off_since_ns > tenant->longest_off_ns)
        tenant->longest_off_ns = now_ns - tenant->off_since_ns;
    count_call(loop, tenant, now_ns);
    return now_ns + (is_enable ? draw(loop, 270 * US, 310 * US) : draw(loop, 450 * US, 660 * US));
}

static uint64_t lateness(struct loop *loop, uint64_t wake_ns)
{
    uint64_t late_ns = loop->jitter_ns ? draw(loop, 0, loop->jitter_ns) : 0;

    if (loop->late_for_ns && wake_ns >= loop->late_from_ns) {
        late_ns += loop->late_for_ns;
        loop->late_for_ns = 0;
    }
    if (loop->late_per_thousand && draw(loop, 1, 1000) <= loop->late_per_thousand)
        late_ns += draw(loop, 0, loop->late_most_ns);
    return late_ns;
}

/* The thread sleeps until the law wants to be asked again, if it has time by then. */
static void sleep_from(struct loop_tenant *tenant, uint64_t free_ns)
{
    uint64_t wake_ns = tenant->budget.wake_ns > free_ns ? tenant->budget.wake_ns : free_ns;

    tenant->due_ns = wake_ns + lateness(tenant->loop, wake_ns);
}

static void step(struct loop_tenant *tenant, uint64_t now_ns)
{
    struct budget_measure now;

    gpu_advance(&tenant->loop->gpu, now_ns);
    now = measure(tenant, now_ns);
    sleep_from(tenant,
               act(tenant, now_ns, budget_step(&tenant->budget, now_ns, &now, true)) + FLUSH_NS);
}

/* --- planning --- */

static void gather(struct loop *loop, struct slices_tenant *facts, uint64_t now_ns)
{
    static const enum slices_priority priorities[] = {
        [LOOP_NORMAL] = SLICES_NORMAL, [LOOP_HIGH] = SLICES_HIGH, [LOOP_LOW] = SLICES_LOW};

    for (size_t i = 0; i < loop->tenant_count; i++) {
        const struct loop_tenant *tenant = &loop->tenants[i];
        bool is_active = tenant->on_engine || tenant->active_until_ns > now_ns;

        facts[i] = (struct slices_tenant){
            .key = i,
            .cap_milli_percent = tenant->cap_milli_percent,
            .weight = tenant->weight,
            .priority = priorities[tenant->priority],
            .busy_group_count = is_active ? tenant->group_count : 0,
            .is_active = is_active,
        };
    }
}

static uint64_t choose_slice_us(struct loop_tenant *tenant, uint64_t now_ns)
{
    const struct slices_plan *plan = &tenant->plan;
    struct stretch_measure now = {
        .now_ns = now_ns,
        .net_ns = (int64_t)measure(tenant, now_ns).net_ns,
        .interval_count = tenant->interval_count,
        .off_ns = tenant->off_ns + (tenant->is_off ? now_ns - tenant->off_since_ns : 0),
    };

    if (!plan->slice_most_us) {
        stretch_init(&tenant->stretch);
        return plan->slice_us;
    }
    return stretch_note(&tenant->stretch, &now, plan->cap_milli_percent, plan->slice_us,
                        plan->slice_most_us);
}

static void apply(struct loop_tenant *tenant, uint64_t now_ns)
{
    uint64_t slice_us = choose_slice_us(tenant, now_ns);
    struct budget_parameters parameters = {
        .cap_milli_percent = tenant->plan.cap_milli_percent,
        .window_ns = tenant->plan.window_ns,
        .phase_ns = tenant->plan.phase_ns,
        .idle_factor_milli = 1000,
    };
    struct budget_measure now = measure(tenant, now_ns);

    for (uint32_t i = 0; i < tenant->group_count; i++)
        gpu_set_slice(&tenant->groups[i].group, slice_us * US);
    if (parameters.cap_milli_percent >= BUDGET_CAP_NONE)
        return;
    if (!tenant->is_capped) {
        budget_init(&tenant->budget, &parameters);
        tenant->is_capped = true;
        tenant->due_ns = now_ns;
    } else if (tenant->budget.parameters.cap_milli_percent != parameters.cap_milli_percent ||
               tenant->budget.parameters.window_ns != parameters.window_ns) {
        sleep_from(tenant, act(tenant, now_ns,
                               budget_change(&tenant->budget, now_ns, &now, &parameters, true)));
    } else {
        tenant->budget.parameters = parameters;
    }
}

static void plan(struct loop *loop, uint64_t now_ns)
{
    struct slices_tenant facts[LOOP_TENANTS_MAX];
    struct slices_plan plans[LOOP_TENANTS_MAX];

    gpu_advance(&loop->gpu, now_ns);
    gather(loop, facts, now_ns);
    slices_plan(plans, facts, loop->tenant_count);
    for (size_t i = 0; i < loop->tenant_count; i++) {
        loop->tenants[i].plan = plans[i];
        apply(&loop->tenants[i], now_ns);
    }
    loop->plan_ns = now_ns + PLAN_NS;
}

/* --- running --- */

static void start_tenant(struct loop *loop, size_t number)
{
    struct loop_tenant *tenant = &loop->tenants[number];

    tenant->loop = loop;
    tenant->kernel_ns = tenant->kernel_ns ? tenant->kernel_ns : KERNEL_NS;
    tenant->weight = tenant->weight ? tenant->weight : 1;
    tenant->group_count = tenant->group_count ? tenant->group_count : 1;
    tenant->cap_milli_percent =
        tenant->cap_milli_percent ? tenant->cap_milli_percent : SLICES_NO_CAP;
    for (uint32_t i = 0; i < tenant->group_count; i++) {
        struct loop_group *group = &tenant->groups[i];

        group->tenant = tenant;
        group->next_submit_ns = SECOND + tenant->begin_ns;
        gpu_add_group(&loop->gpu, &group->group, (uint32_t)number + 1, 0);
        gpu_add_channel(&group->group, &group->channel, &source, group);
    }
}

void loop_start(struct loop *loop)
{
    loop->random = UINT64_C(0x2545F4914F6CDD1D);
    gpu_init(&loop->gpu, &listener, loop, SECOND);
    for (size_t i = 0; i < loop->tenant_count; i++)
        start_tenant(loop, i);
    plan(loop, SECOND);
}

static struct loop_tenant *find_next(struct loop *loop)
{
    struct loop_tenant *next = NULL;

    for (size_t i = 0; i < loop->tenant_count; i++) {
        struct loop_tenant *tenant = &loop->tenants[i];

        if (tenant->is_capped && (!next || tenant->due_ns < next->due_ns))
            next = tenant;
    }
    return next;
}

void loop_run(struct loop *loop, uint64_t span_ns)
{
    uint64_t end_ns = loop->gpu.now_ns + span_ns;

    while (true) {
        struct loop_tenant *tenant = find_next(loop);
        uint64_t due_ns = tenant ? tenant->due_ns : UINT64_MAX;

        if (due_ns > end_ns && loop->plan_ns > end_ns)
            break;
        if (loop->plan_ns <= due_ns)
            plan(loop, loop->plan_ns);
        else
            step(tenant, due_ns);
    }
    gpu_advance(&loop->gpu, end_ns);
}

static uint64_t busy_ns(const struct loop_tenant *tenant)
{
    uint64_t sum_ns = 0;

    for (uint32_t i = 0; i < tenant->group_count; i++)
        sum_ns += tenant->groups[i].group.busy_ns;
    return sum_ns;
}

static void clear_results(struct loop_tenant *tenant)
{
    tenant->span_count = 0;
    tenant->delay_count = 0;
    tenant->calls = 0;
    tenant->longest_off_ns = 0;
    tenant->measured_busy_ns = busy_ns(tenant);
}

static void note_span(struct loop_tenant *tenant, uint64_t span_ns)
{
    uint64_t now_ns = busy_ns(tenant);

    tenant->spans[tenant->span_count++] =
        100.0 * (double)(now_ns - tenant->measured_busy_ns) / (double)span_ns;
    tenant->measured_busy_ns = now_ns;
}

static void sum_up(struct loop_tenant *tenant)
{
    double sum = 0, squares = 0;

    tenant->least = tenant->most = tenant->spans[0];
    for (size_t i = 0; i < tenant->span_count; i++) {
        sum += tenant->spans[i];
        tenant->least = fmin(tenant->least, tenant->spans[i]);
        tenant->most = fmax(tenant->most, tenant->spans[i]);
    }
    tenant->mean = sum / (double)tenant->span_count;
    for (size_t i = 0; i < tenant->span_count; i++)
        squares += (tenant->spans[i] - tenant->mean) * (tenant->spans[i] - tenant->mean);
    tenant->deviation = sqrt(squares / (double)tenant->span_count);
}

void loop_measure_spans(struct loop *loop, uint64_t span_ns, size_t count)
{
    loop->most_calls_a_second = 0;
    for (size_t i = 0; i < loop->tenant_count; i++)
        clear_results(&loop->tenants[i]);
    for (size_t span = 0; span < count && span < LOOP_SPANS_MAX; span++) {
        loop_run(loop, span_ns);
        for (size_t i = 0; i < loop->tenant_count; i++)
            note_span(&loop->tenants[i], span_ns);
    }
    for (size_t i = 0; i < loop->tenant_count; i++)
        sum_up(&loop->tenants[i]);
}

void loop_measure(struct loop *loop, uint64_t seconds)
{
    loop_measure_spans(loop, SPAN_NS, seconds * SECOND / SPAN_NS);
}

void loop_set_cap(struct loop *loop, size_t tenant, uint32_t cap_milli_percent)
{
    loop->tenants[tenant].cap_milli_percent = cap_milli_percent;
    plan(loop, loop->gpu.now_ns);
}

void loop_set_work(struct loop *loop, size_t tenant, uint64_t kernel_ns, uint64_t sleep_ns)
{
    loop->tenants[tenant].kernel_ns = kernel_ns;
    loop->tenants[tenant].sleep_ns = sleep_ns;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

double loop_delay_us(struct loop_tenant *tenant, double percent)
{
    size_t place = (size_t)((double)tenant->delay_count * percent / 100.0);

    if (!tenant->delay_count)
        return INFINITY;
    qsort(tenant->delays_us, tenant->delay_count, sizeof(double), compare);
    return tenant->delays_us[place < tenant->delay_count ? place : tenant->delay_count - 1];
}

double loop_sum(const struct loop *loop)
{
    double sum = 0;

    for (size_t i = 0; i < loop->tenant_count; i++)
        sum += loop->tenants[i].mean;
    return sum;
}
