#pragma once
/*
 * clock - CLOCK_MONOTONIC in nanoseconds, the only time that decisions are made on. The time of day
 * is for what people read.
 */
#include <stdint.h>

#define NS_PER_US  UINT64_C(1000)
#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)

uint64_t clock_now_ns(void);

/* Returns at or after the instant; signals do not cut it short. */
void clock_sleep_until_ns(uint64_t instant_ns);

/* Milliseconds since 1970: may jump either way. */
uint64_t clock_unix_ms(void);
