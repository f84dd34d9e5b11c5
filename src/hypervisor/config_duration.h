#pragma once
/*
 * config_duration - lengths of time as people write them: `90` and `90s`, `1.5s`, `500ms`, `24h`,
 * `1h 30m`, `2 days`.
 */
#include "utils/attr.h"
#include "utils/err.h"
#include "utils/str.h"

#include <stdint.h>

/* At most 10^9 s. -EINVAL or -ERANGE with words. */
int config_duration_read(uint64_t *ret_ns, const char *text, struct err *err) MUST_CHECK;

/* In the largest unit that shows it whole. */
void config_duration_write(struct str *str, uint64_t duration_ns);
