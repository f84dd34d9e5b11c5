#pragma once
/*
 * rm_calls - makes of arbitrary bytes a sequence of calls to the mediator, on a driver that answers
 * as the bytes say, and checks what must hold whatever they are. For the fuzzer and for a unit
 * test.
 */
#include <stddef.h>
#include <stdint.h>

/* Returns how many things were wrong: 0. */
unsigned int rm_calls_run(const uint8_t *data, size_t size);
