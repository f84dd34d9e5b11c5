/*
 * bench_ledger - what it costs to reserve bytes in the memory ledger and give them back, in
 * nanoseconds a pair: by one process alone, and with another one that does the same all the time.
 */
#include "ipc/ledger.h"
#include "utils/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIRS       500000
#define BLOCK_BYTES (2u << 20)

static struct ledger_row attach(struct ledger *ledger)
{
    struct ledger_row row;

    if (ledger_attach(ledger, getpid(), 1, &row) < 0) {
        fprintf(stderr, "bench_ledger: no row\n");
        exit(1);
    }
    return row;
}

static void pair(struct ledger *ledger, const struct ledger_row *row)
{
    if (ledger_reserve(ledger, row, 0, BLOCK_BYTES, UINT64_C(1) << 40) < 0 ||
        ledger_release(ledger, row, 0, BLOCK_BYTES) < 0) {
        fprintf(stderr, "bench_ledger: the ledger refuses\n");
        exit(1);
    }
}

static double time_ns(struct ledger *ledger)
{
    struct ledger_row row = attach(ledger);
    uint64_t started_ns = clock_now_ns();

    for (int i = 0; i < PAIRS; i++)
        pair(ledger, &row);
    return (double)(clock_now_ns() - started_ns) / PAIRS;
}

int main(void)
{
    void *memory =
        mmap(NULL, ledger_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct ledger *ledger;
    pid_t other;

    if (memory == MAP_FAILED)
        return 1;
    ledger = ledger_init(memory);
    printf("{\"alone_ns\": %.1f, ", time_ns(ledger));
    fflush(stdout);
    other = fork();
    if (other == 0) {
        struct ledger_row row = attach(ledger);

        for (;;)
            pair(ledger, &row);
    }
    printf("\"contended_ns\": %.1f}\n", time_ns(ledger));
    if (other > 0) {
        (void)kill(other, SIGKILL); /* our child: it is there until it is waited for */
        (void)waitpid(other, NULL, 0);
    }
    return 0;
}
