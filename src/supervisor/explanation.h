#pragma once
/*
 * explanation - why a tenant has the slice and the duty cycle that it has, in plain sentences made
 * of the numbers that its supervisor planned from. Shared by `vgpu explain` and the HTTP API.
 */
#include <stddef.h>

struct message_explained;
struct str;

#define EXPLANATION_SENTENCES_MAX 16
#define EXPLANATION_TEXT_MAX      4096 /* enough for all that explanation_write() writes */

/*
 * Adds the sentences for one GPU, one a line, each with its full stop and a newline. No sentence
 * says a number that is not known. The message is taken as message_check() left it: whatever its
 * numbers are, no more is read of it than is there.
 */
void explanation_write(const struct message_explained *explained, struct str *text);

/*
 * Adds a table of the neighbours it planned with, one a line below a heading; nothing where it has
 * none. For people: the HTTP API gives the numbers.
 */
void explanation_write_neighbours(const struct message_explained *explained, struct str *text);
