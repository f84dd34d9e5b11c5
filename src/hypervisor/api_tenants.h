#pragma once
/*
 * api_tenants - the bodies by which tenants are made and changed, read strictly: an unknown or
 * doubled member, a wrong type and a value out of range are refused with words that name the
 * member. Sizes and percents are those of the command line (utils/parse.h), or numbers.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>

struct log_levels;
struct request;
struct snapshot;

/* Of how long a tenant may wait for room. */
#define API_QUEUE_SECONDS_MAX 3600

/* Fills a CREATE's fields; GPUs are those of the snapshot. -EINVAL, -ERANGE. */
int api_tenants_read_create(struct request *request, const struct snapshot *snapshot,
                            const char *body, size_t size, struct err *err) MUST_CHECK;

/*
 * Fills a change's fields and kind: CHANGE, SUSPEND or RESUME. Where limits come together with
 * "suspended" it is CHANGE, with MESSAGE_SET_SUSPENDED among its fields.
 */
int api_tenants_read_change(struct request *request, const char *body, size_t size,
                            struct err *err) MUST_CHECK;

/* One of our words for true and false in a query: `true`, `false`; NULL and "" are false. */
int api_tenants_read_flag(bool *ret_flag, const char *text, struct err *err) MUST_CHECK;

/* {"level":"info,http=debug"}, as log_levels.h reads it. */
int api_tenants_read_levels(struct log_levels *ret_levels, const char *body, size_t size,
                            struct err *err) MUST_CHECK;
