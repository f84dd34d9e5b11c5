#pragma once
/*
 * stretch - how long the slices of a capped tenant are beside a high one.
 *
 * While a high tenant is active the slices of the others are short, so that it is served soon. Of
 * one that is idle most of the time they leave enough; of one that is busy all the time the others
 * would get a slice of 100 us in 4 ms, and a capped tenant not its cap, which is its guarantee. So
 * a capped tenant that is kept from its cap, and only such a one, lengthens its own slices until it
 * gets there, and shortens them again when it gets there easily. Each decides from its own
 * measures: nobody has to agree.
 *
 * What it gets while its channels are on is r = s / (s + rest): the slice for a share c is found
 * from that at once, and where several do so at the same time they approach it together.
 * Pure: time and measures are passed in.
 */
#include <stdbool.h>
#include <stdint.h>

/* At one instant; of what grows only differences count. */
struct stretch_measure {
    uint64_t now_ns;
    int64_t net_ns;          /* time on the engine */
    uint64_t interval_count; /* how often it left the engine */
    uint64_t off_ns;         /* how long its channels were off */
};

struct stretch {
    uint64_t slice_us; /* 0: as planned */
    struct stretch_measure begin;
};

void stretch_init(struct stretch *stretch);

/*
 * The slice to set, planned_us..most_us: called at any time, decides every 200 ms. The cap is
 * 1..100000.
 */
uint64_t stretch_note(struct stretch *stretch, const struct stretch_measure *measure,
                      uint32_t cap_milli_percent, uint64_t planned_us, uint64_t most_us);
