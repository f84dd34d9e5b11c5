#pragma once
/*
 * atomics - C11 atomics whose names say the order. Anything but relaxed has a comment at its use
 * that names the access it pairs with.
 */
#include <stdatomic.h>
#include <stdbool.h>

#define load_relaxed(object)         atomic_load_explicit((object), memory_order_relaxed)
#define load_acquire(object)         atomic_load_explicit((object), memory_order_acquire)
#define load_ordered(object)         atomic_load_explicit((object), memory_order_seq_cst)
#define store_relaxed(object, value) atomic_store_explicit((object), (value), memory_order_relaxed)
#define store_release(object, value) atomic_store_explicit((object), (value), memory_order_release)
#define store_ordered(object, value) atomic_store_explicit((object), (value), memory_order_seq_cst)
#define add_relaxed(object, value)                                                                 \
    atomic_fetch_add_explicit((object), (value), memory_order_relaxed)
#define sub_relaxed(object, value)                                                                 \
    atomic_fetch_sub_explicit((object), (value), memory_order_relaxed)
#define add_ordered(object, value)                                                                 \
    atomic_fetch_add_explicit((object), (value), memory_order_seq_cst)
#define sub_ordered(object, value)                                                                 \
    atomic_fetch_sub_explicit((object), (value), memory_order_seq_cst)
#define and_ordered(object, value)                                                                 \
    atomic_fetch_and_explicit((object), (value), memory_order_seq_cst)
#define or_ordered(object, value) atomic_fetch_or_explicit((object), (value), memory_order_seq_cst)
#define exchange_ordered(object, value)                                                            \
    atomic_exchange_explicit((object), (value), memory_order_seq_cst)
#define cas_relaxed(object, expected, desired)                                                     \
    atomic_compare_exchange_weak_explicit((object), (expected), (desired), memory_order_relaxed,   \
                                          memory_order_relaxed)
/* Strong: never fails where the value was the expected one. */
#define cas_ordered(object, expected, desired)                                                     \
    atomic_compare_exchange_strong_explicit((object), (expected), (desired), memory_order_seq_cst, \
                                            memory_order_seq_cst)
