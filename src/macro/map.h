#pragma once
/*
 * map - small helpers for tables.
 */
#define MACRO_TEXT_(x) #x
#define MACRO_TEXT(x)  MACRO_TEXT_(x)

/*
 * MACRO_LIST(macro, a, b, ...) is `macro a, macro b, ...`, up to 12; each of a, b is in
 * parentheses.
 */
#define MACRO_LIST_1(m, a)       m a
#define MACRO_LIST_2(m, a, ...)  m a, MACRO_LIST_1(m, __VA_ARGS__)
#define MACRO_LIST_3(m, a, ...)  m a, MACRO_LIST_2(m, __VA_ARGS__)
#define MACRO_LIST_4(m, a, ...)  m a, MACRO_LIST_3(m, __VA_ARGS__)
#define MACRO_LIST_5(m, a, ...)  m a, MACRO_LIST_4(m, __VA_ARGS__)
#define MACRO_LIST_6(m, a, ...)  m a, MACRO_LIST_5(m, __VA_ARGS__)
#define MACRO_LIST_7(m, a, ...)  m a, MACRO_LIST_6(m, __VA_ARGS__)
#define MACRO_LIST_8(m, a, ...)  m a, MACRO_LIST_7(m, __VA_ARGS__)
#define MACRO_LIST_9(m, a, ...)  m a, MACRO_LIST_8(m, __VA_ARGS__)
#define MACRO_LIST_10(m, a, ...) m a, MACRO_LIST_9(m, __VA_ARGS__)
#define MACRO_LIST_11(m, a, ...) m a, MACRO_LIST_10(m, __VA_ARGS__)
#define MACRO_LIST_12(m, a, ...) m a, MACRO_LIST_11(m, __VA_ARGS__)

/* Twelve names and the arguments before them: the name that comes out is of their number. */
#define MACRO_LIST_NAME(a, b, c, d, e, f, g, h, i, j, k, l, name, ...) name
#define MACRO_LIST(m, ...)                                                                         \
    MACRO_LIST_NAME(__VA_ARGS__, MACRO_LIST_12, MACRO_LIST_11, MACRO_LIST_10, MACRO_LIST_9,        \
                    MACRO_LIST_8, MACRO_LIST_7, MACRO_LIST_6, MACRO_LIST_5, MACRO_LIST_4,          \
                    MACRO_LIST_3, MACRO_LIST_2, MACRO_LIST_1, 0)                                   \
    (m, __VA_ARGS__)
