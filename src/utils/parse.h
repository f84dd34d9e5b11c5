#pragma once
/*
 * parse - numbers, sizes and names that people write. The whole text must match; nothing is
 * guessed. Each returns 0, or -EINVAL (not such a thing) or -ERANGE (out of range) with words in
 * `err`.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdint.h>

struct parse_size {
    uint64_t bytes;         /* 0 where it is given as a part of the card */
    uint32_t milli_percent; /* of the card, 1..100000; 0 where it is given in bytes */
};

int parse_u64(uint64_t *ret_value, const char *text, uint64_t min, uint64_t max,
              struct err *err) MUST_CHECK;

/* `8GiB` `512MiB` `8G` (= GiB) `8GB` (decimal) `1048576` `40%`; zero and above 2^56 are refused. */
int parse_size(struct parse_size *ret_size, const char *text, struct err *err) MUST_CHECK;

/* `30%` or `12.5`, above 0 and at most 100, up to three decimals; in thousandths of a percent. */
int parse_percent(uint32_t *ret_milli_percent, const char *text, struct err *err) MUST_CHECK;

/*
 * `1.5` seconds and the like: above or equal 0, up to nine decimals, at most 10^9; in nanoseconds.
 */
int parse_seconds(uint64_t *ret_ns, const char *text, struct err *err) MUST_CHECK;

/* A tenant's name: [A-Za-z0-9][A-Za-z0-9_.-]{0,62}. */
int parse_name(const char *text, struct err *err) MUST_CHECK;
