#include "ipc/ledger.h"

#include "tests/harness.h"
#include "utils/atomics.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE     LEDGER_PAGE_BYTES
#define NO_LIMIT REGION_NO_LIMIT

static void *share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(memory != MAP_FAILED);
    return memory;
}

static struct ledger_row attach(struct ledger *ledger, pid_t pid)
{
    struct ledger_row row = {0};

    CHECK_EQ(ledger_attach(ledger, pid, 1000, &row), 0);
    return row;
}

static void check_sound(struct ledger *ledger)
{
    struct err err = {0};

    CHECK_OK(ledger_check(ledger, &err), &err);
}

/*
 * Killed at every instruction. A child does one thing to a ledger, one instruction at a time; each
 * time its memory has changed we look at a copy, which is what a kill at that instant leaves.
 */
struct scene {
    struct ledger *ledger;           /* shared with the child */
    struct ledger_row victim, other; /* the child is the victim */
    uint64_t other_bytes;            /* what the other holds of slot 0 */
    void (*act)(struct scene *scene);
    void (*judge)(struct scene *scene); /* `ledger` is a copy then */
    int states;                         /* that were judged */
};

/* Header, totals and the rows of the two processes and one to spare: nothing else may change. */
#define TOUCHED_BYTES (64 + 16 * 64 + 3 * 1216)

static void judge_copy(struct scene *scene, struct ledger *copy)
{
    struct scene copied = *scene;

    memcpy(copy, scene->ledger, ledger_size());
    copied.ledger = copy;
    scene->judge(&copied);
    memcpy(copy, scene->ledger, ledger_size());
    scene->states++;
}

/* Returns false where the child may not be traced here. */
static bool step_through(struct scene *scene)
{
    struct ledger *copy = malloc(ledger_size());
    pid_t child = fork();
    int status = 0;

    CHECK(copy != NULL && child >= 0);
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(77);
        (void)raise(SIGSTOP);
        scene->act(scene);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    judge_copy(scene, copy);
    while (WIFSTOPPED(status)) {
        if (memcmp(copy, scene->ledger, TOUCHED_BYTES) != 0)
            judge_copy(scene, copy);
        CHECK_EQ(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        CHECK_EQ(waitpid(child, &status, 0), child);
    }
    free(copy);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
    return WEXITSTATUS(status) == 0;
}

static struct scene make_scene(void)
{
    struct scene scene = {.ledger = ledger_init(share(ledger_size())), .other_bytes = 3 * PAGE};

    scene.other = attach(scene.ledger, 1);
    scene.victim = attach(scene.ledger, 2);
    CHECK_EQ(ledger_reserve(scene.ledger, &scene.other, 0, scene.other_bytes, NO_LIMIT), 0);
    return scene;
}

static void end_scene(struct scene *scene, bool was_traced, int states_min)
{
    CHECK_EQ(munmap(scene->ledger, ledger_size()), 0);
    if (!was_traced)
        skip();
    CHECK(scene->states >= states_min);
}

static void act_reserve(struct scene *scene)
{
    if (ledger_reserve(scene->ledger, &scene->victim, 0, 5 * PAGE, NO_LIMIT) != 0)
        _exit(1);
}

static void act_reserve_in_vain(struct scene *scene)
{
    if (ledger_reserve(scene->ledger, &scene->victim, 0, 5 * PAGE, 7 * PAGE) != -ENOMEM)
        _exit(1);
}

static void act_release(struct scene *scene)
{
    if (ledger_release(scene->ledger, &scene->victim, 0, 2 * PAGE) != 0)
        _exit(1);
}

static void act_reap(struct scene *scene)
{
    if (ledger_reap(scene->ledger, &scene->victim) != 0)
        _exit(1);
}

/* Whatever the victim was doing: the figures agree, and after reaping only the other is left. */
static void judge_reap(struct scene *scene)
{
    struct ledger *ledger = scene->ledger;

    check_sound(ledger);
    CHECK_EQ(ledger_used(ledger, 0),
             scene->other_bytes + ledger_row_used(ledger, scene->victim.index, 0));
    CHECK_EQ(ledger_reap(ledger, &scene->victim), 0);
    CHECK_EQ(ledger_used(ledger, 0), scene->other_bytes);
    check_sound(ledger);
}

/* Somebody else overwrites the victim's stamp, twice, before the reaper comes. */
static void judge_change_and_reap(struct scene *scene)
{
    uint64_t before = ledger_used(scene->ledger, 0);

    CHECK_EQ(ledger_reserve(scene->ledger, &scene->other, 0, PAGE, NO_LIMIT), 0);
    check_sound(scene->ledger);
    CHECK_EQ(ledger_release(scene->ledger, &scene->other, 0, 2 * PAGE), 0);
    CHECK_EQ(ledger_used(scene->ledger, 0), before - PAGE);
    scene->other_bytes -= PAGE;
    judge_reap(scene);
}

/* A reaper was killed in the middle; the row is either free by then or is reaped again. */
static void judge_reap_again(struct scene *scene)
{
    struct ledger_owner owner;

    if (ledger_get_owner(scene->ledger, scene->victim.index, &owner)) {
        CHECK_EQ(ledger_reap(scene->ledger, &scene->victim), 0);
    }
    CHECK_EQ(ledger_used(scene->ledger, 0), scene->other_bytes);
    CHECK_EQ(attach(scene->ledger, 3).index, scene->victim.index);
    CHECK_EQ(ledger_row_used(scene->ledger, scene->victim.index, 0), 0);
    check_sound(scene->ledger);
}

/* The victim died here, and its reaper dies at each of its instants as well. */
static void judge_killed_reaper(struct scene *scene)
{
    struct scene inner = *scene;

    inner.ledger = share(ledger_size());
    memcpy(inner.ledger, scene->ledger, ledger_size());
    inner.act = act_reap;
    inner.judge = judge_reap_again;
    inner.states = 0;
    CHECK(step_through(&inner));
    CHECK_EQ(munmap(inner.ledger, ledger_size()), 0);
}

static void run_scene(void (*act)(struct scene *), void (*judge)(struct scene *), int states_min)
{
    struct scene scene = make_scene();

    if (act == act_release)
        CHECK_EQ(ledger_reserve(scene.ledger, &scene.victim, 0, 4 * PAGE, NO_LIMIT), 0);
    scene.act = act;
    scene.judge = judge;
    end_scene(&scene, step_through(&scene), states_min);
}

/* What a change writes: claim, after, pending, total, used, idle, claim. */
#define STATES_OF_A_CHANGE  7
#define STATES_OF_A_REFUSAL 5

TEST(a_reservation_killed_at_any_instruction_is_reaped_exactly)
{
    run_scene(act_reserve, judge_reap, STATES_OF_A_CHANGE);
}

TEST(a_release_killed_at_any_instruction_is_reaped_exactly)
{
    run_scene(act_release, judge_reap, STATES_OF_A_CHANGE);
}

TEST(a_refusal_killed_at_any_instruction_is_reaped_exactly)
{
    run_scene(act_reserve_in_vain, judge_reap, STATES_OF_A_REFUSAL);
}

TEST(a_reservation_killed_at_any_instruction_is_exact_after_others_went_on)
{
    run_scene(act_reserve, judge_change_and_reap, STATES_OF_A_CHANGE);
}

TEST(a_release_killed_at_any_instruction_is_exact_after_others_went_on)
{
    run_scene(act_release, judge_change_and_reap, STATES_OF_A_CHANGE);
}

TEST(a_reaper_killed_at_any_instruction_leaves_what_the_next_one_ends)
{
    run_scene(act_reserve, judge_killed_reaper, STATES_OF_A_CHANGE);
    run_scene(act_release, judge_killed_reaper, STATES_OF_A_CHANGE);
}

TEST(a_stamp_left_from_eight_million_changes_ago_is_not_taken_for_this_one)
{
    struct scene scene = make_scene();
    uint64_t *words = (void *)scene.ledger;
    /* The first intent of the victim's row, behind header, totals, the other row, its head. */
    uint64_t *intent = &words[(64 + 16 * 64 + 1216 + 64) / sizeof(*words)];

    CHECK_EQ(ledger_reserve(scene.ledger, &scene.victim, 0, 4 * PAGE, NO_LIMIT), 0);
    CHECK_EQ(*intent >> 6, 1); /* its first change, whose stamp is in the total now */
    *intent += ((UINT64_C(1) << 23) - 1) << 6;
    scene.act = act_reserve;
    scene.judge = judge_reap;
    end_scene(&scene, step_through(&scene), STATES_OF_A_CHANGE);
}

/* Many processes at random. */
#define WORKERS_MAX 64
#define SLOTS       2
#define LIMIT       (40 * PAGE)

struct worker {
    pid_t pid;
    struct ledger_row row;
    _Atomic uint64_t changes; /* made so far */
    _Atomic uint64_t held[SLOTS];
};

struct crowd {
    struct ledger *ledger;
    int count;
    _Atomic int is_over, has_failed;
    _Atomic uint64_t holding; /* of slot 0, where nobody is killed */
    struct worker workers[WORKERS_MAX];
};

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static struct crowd *make_crowd(int count)
{
    struct crowd *crowd = share(sizeof(*crowd));

    crowd->ledger = ledger_init(share(ledger_size()));
    crowd->count = count;
    return crowd;
}

static void end_crowd(struct crowd *crowd)
{
    CHECK_EQ(munmap(crowd->ledger, ledger_size()), 0);
    CHECK_EQ(munmap(crowd, sizeof(*crowd)), 0);
}

/* `held` is the worker's own: what it holds whenever it is between two calls. */
static void change_at_random(struct crowd *crowd, struct worker *worker, uint64_t *seed)
{
    uint32_t slot = (uint32_t)(next_random(seed) % SLOTS);
    uint64_t held = load_relaxed(&worker->held[slot]);
    uint64_t bytes = (1 + next_random(seed) % 6) * PAGE;
    int rc;

    if (held >= bytes && next_random(seed) % 2) {
        rc = ledger_release(crowd->ledger, &worker->row, slot, bytes);
        held -= bytes;
    } else {
        rc = ledger_reserve(crowd->ledger, &worker->row, slot, bytes, LIMIT);
        held += rc == 0 ? bytes : 0;
    }
    if (rc != 0 && rc != -ENOMEM)
        store_relaxed(&crowd->has_failed, 1);
    store_relaxed(&worker->held[slot], held);
    (void)add_ordered(&worker->changes, 1);
}

/* Returns false in the child. The pid is written by the parent alone: the memory is shared. */
static bool fork_worker(struct worker *worker)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody behind */
    else
        worker->pid = pid;
    return pid != 0;
}

static void start_worker(struct crowd *crowd, int index, uint64_t seed)
{
    struct worker *worker = &crowd->workers[index];

    worker->row = attach(crowd->ledger, 1000 + index);
    for (int slot = 0; slot < SLOTS; slot++)
        store_relaxed(&worker->held[slot], 0);
    if (fork_worker(worker))
        return;
    while (!load_ordered(&crowd->is_over))
        change_at_random(crowd, worker, &seed);
    _exit(0);
}

static void await_changes(struct worker *worker, uint64_t count)
{
    uint64_t wanted = load_ordered(&worker->changes) + count;

    while (load_ordered(&worker->changes) < wanted)
        (void)sched_yield();
}

static void kill_one(struct crowd *crowd, uint64_t *seed)
{
    int index = (int)(next_random(seed) % (uint64_t)crowd->count);
    struct worker *worker = &crowd->workers[index];

    await_changes(worker, 1 + next_random(seed) % 50);
    CHECK_EQ(kill(worker->pid, SIGKILL), 0);
    CHECK_EQ(waitpid(worker->pid, NULL, 0), worker->pid);
    CHECK_EQ(ledger_reap(crowd->ledger, &worker->row), 0);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        CHECK(ledger_used(crowd->ledger, slot) <= LIMIT);
    start_worker(crowd, index, next_random(seed));
}

TEST(processes_killed_at_random_leave_a_sum_that_is_exact)
{
    struct crowd *crowd = make_crowd(harness_is_full() ? 16 : 6);
    int kills = harness_is_full() ? 1000 : 150;
    uint64_t seed = 7, sums[SLOTS] = {0};

    for (int i = 0; i < crowd->count; i++)
        start_worker(crowd, i, next_random(&seed));
    for (int i = 0; i < kills; i++)
        kill_one(crowd, &seed);
    store_ordered(&crowd->is_over, 1);
    for (int i = 0; i < crowd->count; i++)
        CHECK_EQ(waitpid(crowd->workers[i].pid, NULL, 0), crowd->workers[i].pid);
    CHECK_EQ(load_ordered(&crowd->has_failed), 0);
    for (int i = 0; i < crowd->count * SLOTS; i++) {
        struct worker *worker = &crowd->workers[i / SLOTS];
        uint64_t held = load_ordered(&worker->held[i % SLOTS]);

        CHECK_EQ(ledger_row_used(crowd->ledger, worker->row.index, (uint32_t)i % SLOTS), held);
        sums[i % SLOTS] += held;
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        CHECK_EQ(ledger_used(crowd->ledger, slot), sums[slot]);
    check_sound(crowd->ledger);
    for (int i = 0; i < crowd->count; i++)
        CHECK_EQ(ledger_reap(crowd->ledger, &crowd->workers[i].row), 0);
    CHECK_EQ(ledger_used(crowd->ledger, 0) + ledger_used(crowd->ledger, 1), 0);
    end_crowd(crowd);
}

/* What is counted here is less than what the ledger has, so that it proves what is beyond. */
static void hold_and_let_go(struct crowd *crowd, struct worker *worker, uint64_t seed)
{
    uint64_t bytes = (1 + next_random(&seed) % 9) * PAGE;
    int rc = ledger_reserve(crowd->ledger, &worker->row, 0, bytes, LIMIT);

    if (rc == -ENOMEM)
        return;
    if (rc != 0 || add_ordered(&crowd->holding, bytes) + bytes > LIMIT)
        store_relaxed(&crowd->has_failed, 1);
    (void)add_ordered(&worker->changes, 1);
    (void)add_ordered(&crowd->holding, 0 - bytes);
    if (ledger_release(crowd->ledger, &worker->row, 0, bytes) != 0)
        store_relaxed(&crowd->has_failed, 1);
}

static void run_holders(int count, int rounds)
{
    struct crowd *crowd = make_crowd(count);
    uint64_t changes = 0;

    for (int i = 0; i < count; i++) {
        struct worker *worker = &crowd->workers[i];

        worker->row = attach(crowd->ledger, 1000 + i);
        if (fork_worker(worker))
            continue;
        for (int round = 0; round < rounds; round++)
            hold_and_let_go(crowd, worker, (uint64_t)i << 20 | (uint64_t)round);
        _exit(0);
    }
    for (int i = 0; i < count; i++) {
        CHECK_EQ(waitpid(crowd->workers[i].pid, NULL, 0), crowd->workers[i].pid);
        changes += load_ordered(&crowd->workers[i].changes);
    }
    CHECK_EQ(load_ordered(&crowd->has_failed), 0);
    CHECK(changes > 0);
    CHECK_EQ(ledger_used(crowd->ledger, 0), 0);
    check_sound(crowd->ledger);
    end_crowd(crowd);
}

TEST(sixteen_processes_at_once_never_take_a_byte_beyond_the_limit)
{
    run_holders(16, harness_is_full() ? 20000 : 2000);
}

TEST(sixty_four_processes_at_once_never_take_a_byte_beyond_the_limit)
{
    run_holders(64, harness_is_full() ? 5000 : 1000);
}
