#pragma once
/*
 * reasons - what a governor's last plan was made of, as numbers that can be sent and explained.
 */
struct controller_quota;
struct governor;
struct message_explained;

/* All but header, GPU and neighbours. Nobody may be stepping the governor. */
void reasons_fill(struct message_explained *ret_explained, const struct governor *governor,
                  const struct controller_quota *quota);
