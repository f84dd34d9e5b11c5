#include "utils/clock.h"

#include "tests/harness.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>

TEST(time_goes_forward_and_is_the_monotonic_clock)
{
    uint64_t before_ns = clock_now_ns();
    uint64_t after_ns = clock_now_ns();

    CHECK(before_ns > 0);
    CHECK(after_ns >= before_ns);
}

TEST(an_instant_that_has_passed_is_not_waited_for)
{
    clock_sleep_until_ns(0);
    clock_sleep_until_ns(clock_now_ns());
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    signals += number == SIGALRM;
}

TEST(a_sleep_ends_at_its_instant_though_signals_come)
{
    struct itimerval often = {.it_interval = {0, 1000}, .it_value = {0, 1000}}, never;
    struct sigaction action, old;
    uint64_t instant_ns;

    memset(&never, 0, sizeof(never));
    memset(&action, 0, sizeof(action));
    action.sa_handler = count_signal;
    CHECK_EQ(sigaction(SIGALRM, &action, &old), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
    instant_ns = clock_now_ns() + 30 * NS_PER_MS;
    clock_sleep_until_ns(instant_ns);
    CHECK(clock_now_ns() >= instant_ns);
    CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    CHECK_EQ(sigaction(SIGALRM, &old, NULL), 0);
    CHECK(signals > 0);
}
