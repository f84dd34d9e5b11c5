#pragma once
/*
 * metrics_own - what the daemon measures of itself, for the exposition. Who keeps the numbers (the
 * loop, the HTTP server) fills one of these for each answer; it is read during the call alone.
 * SNAPSHOT_UNKNOWN for what is not measured. Counters begin at 0 with the daemon and never fall.
 */
#include <stdint.h>

struct metrics_own {
    const char *version;            /* borrowed; VGPU_VERSION */
    uint64_t start_unix_ms;         /* when the daemon started */
    uint64_t loop_lag_ns;           /* how much later than asked for the newest sample began */
    uint64_t samples;               /* looks at all GPUs and tenants */
    uint64_t http_requests;         /* answered */
    uint64_t http_requests_refused; /* of them, with a status of 400 to 499 */
    uint64_t http_requests_failed;  /* of them, with a status of 500 and more */
    uint64_t event_readers;         /* of /api/v1/events, connected now */
    uint64_t event_readers_dropped; /* that fell behind and were sent away */
    uint64_t usage_lines_lost;      /* metrics_writer_lost() */
};
