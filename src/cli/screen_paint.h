#pragma once
/*
 * screen_paint - brings cells onto the terminal and reads its keys; the only module that knows of
 * ncurses, which sends no more than what differs from what is there. One at a time in a process.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>

struct screen_cells;

/*
 * Takes the terminal of stdin and stdout over. -ENOTTY with words where TERM is none that is known;
 * then nothing was changed. Colours are used where there are any and `may_colour`.
 */
int screen_paint_open(bool may_colour, struct err *err) MUST_CHECK;

/* Gives the terminal back as it was. */
void screen_paint_close(void);

/* The same for a while (Ctrl-Z), and takes it over again with everything drawn anew. */
void screen_paint_leave(void);
void screen_paint_return(void);

/* What the terminal is now; to be called at the start and after SIGWINCH. */
void screen_paint_measure(int *ret_width, int *ret_height);

void screen_paint_show(const struct screen_cells *cells);
/* Everything is sent at the next show, whatever the terminal seemed to have. */
void screen_paint_forget(void);

/* A code point or an enum top_key; false where none has come. Does not wait. */
bool screen_paint_key(uint32_t *ret_key);
