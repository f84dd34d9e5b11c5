#pragma once
/*
 * attr - compiler attributes, and locals that clean up after themselves.
 */
#include <stddef.h>

#define MUST_CHECK              __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, args) __attribute__((format(printf, text, args)))
#define CLEANUP(function)       __attribute__((cleanup(function)))
#define CLEANUP_CLOSE           CLEANUP(attr_close)
#define CLEANUP_FREE            CLEANUP(attr_free)
#define EXPORTED                __attribute__((visibility("default")))
#define UNUSED                  __attribute__((unused))
#define LIKELY(condition)       __builtin_expect(!!(condition), 1)
#define HOT                     __attribute__((hot)) /* every call runs through it: lies together */
#define COLD                    __attribute__((cold, noinline)) /* few do: lies apart */
#define ARRAY_LENGTH(array)     (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Hands on what a CLEANUP_CLOSE descriptor or CLEANUP_FREE pointer holds, leaving nothing. */
#define TAKE_FD(fd)                                                                                \
    __extension__({                                                                                \
        int taken_fd = (fd);                                                                       \
        (fd) = -1;                                                                                 \
        taken_fd;                                                                                  \
    })
#define TAKE_POINTER(pointer)                                                                      \
    __extension__({                                                                                \
        __typeof__(pointer) taken_pointer = (pointer);                                             \
        (pointer) = NULL;                                                                          \
        taken_pointer;                                                                             \
    })

/* For the cleanup attribute alone; -1 and NULL are let be. Keeps errno. */
void attr_close(int *fd);
void attr_free(void *pointer);
