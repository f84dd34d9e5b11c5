/* For curses.h: characters of any script, and none of the commonest of words as macros. */
#define NCURSES_WIDECHAR 1
#define NCURSES_NOMACROS 1

#include "cli/screen_paint.h"

#include "cli/screen_cells.h"
#include "cli/top_view.h"

#include <curses.h>
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>

#define ESCAPE_MS 50 /* a lone Esc is one, after so long */

enum { PAIR_GOOD = 1, PAIR_WARNING, PAIR_BAD, PAIR_ACCENT };

static struct {
    SCREEN *screen;
    bool has_colours;
} at;

static void begin_colours(void)
{
    /* What fails leaves the terminal's own colours, which is well. */
    (void)start_color();
    (void)use_default_colors();
    (void)init_pair(PAIR_GOOD, COLOR_GREEN, -1);
    (void)init_pair(PAIR_WARNING, COLOR_YELLOW, -1);
    (void)init_pair(PAIR_BAD, COLOR_RED, -1);
    (void)init_pair(PAIR_ACCENT, COLOR_CYAN, -1);
}

int screen_paint_open(bool may_colour, struct err *err)
{
    int answer;

    /* newterm() leaves something behind where it knows no such terminal: this is asked first. */
    if (setupterm(NULL, STDOUT_FILENO, &answer) == OK) {
        (void)del_curterm(cur_term); /* it is the one just made */
        at.screen = newterm(NULL, stdout, stdin);
    }
    if (!at.screen)
        return err_say(err, ENOTTY, "this terminal is not known (TERM); --once needs none");
    at.has_colours = may_colour && has_colors();
    if (at.has_colours)
        begin_colours();
    /* None of these fails on a terminal that newterm() has accepted, or it does without. */
    (void)cbreak();
    (void)noecho();
    (void)nonl();
    (void)curs_set(0);
    (void)nodelay(stdscr, TRUE);
    (void)keypad(stdscr, TRUE);
    (void)set_escdelay(ESCAPE_MS);
    return 0;
}

void screen_paint_close(void)
{
    if (!at.screen)
        return;
    (void)curs_set(1);
    (void)endwin(); /* the terminal may be gone */
    delscreen(at.screen);
    at.screen = NULL;
}

void screen_paint_leave(void)
{
    (void)curs_set(1);
    (void)endwin(); /* the terminal may be gone */
}

void screen_paint_forget(void)
{
    (void)clearok(curscr, TRUE);
}

void screen_paint_return(void)
{
    (void)reset_prog_mode();
    (void)curs_set(0);
    screen_paint_forget();
}

void screen_paint_measure(int *ret_width, int *ret_height)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row &&
        is_term_resized(size.ws_row, size.ws_col)) {
        (void)resize_term(size.ws_row, size.ws_col); /* what fails keeps the old size */
        /* Terminals differ in where they leave what was there. */
        screen_paint_forget();
    }
    *ret_width = COLS;
    *ret_height = LINES;
}

static attr_t terminal_attributes(uint32_t attributes)
{
    attr_t found = A_NORMAL;

    if (attributes & SCREEN_BOLD)
        found |= A_BOLD;
    if (attributes & SCREEN_DIM)
        found |= A_DIM;
    if (attributes & SCREEN_REVERSE)
        found |= A_REVERSE;
    if (attributes & SCREEN_UNDERLINE)
        found |= A_UNDERLINE;
    return found;
}

static short colour_pair(uint32_t attributes)
{
    if (!at.has_colours)
        return 0;
    return attributes & SCREEN_GOOD      ? PAIR_GOOD
           : attributes & SCREEN_WARNING ? PAIR_WARNING
           : attributes & SCREEN_BAD     ? PAIR_BAD
           : attributes & SCREEN_ACCENT  ? PAIR_ACCENT
                                         : 0;
}

void screen_paint_show(const struct screen_cells *cells)
{
    (void)erase();
    for (int row = 0; row < cells->height && row < LINES; row++)
        for (int column = 0; column < cells->width && column < COLS; column++) {
            const struct screen_cell *cell = screen_cells_at(cells, row, column);
            wchar_t text[2] = {(wchar_t)cell->code_point, L'\0'};
            cchar_t character;

            if (!cell->code_point ||
                setcchar(&character, text, terminal_attributes(cell->attributes),
                         colour_pair(cell->attributes), NULL) == ERR)
                continue;
            /* In the last corner the cursor has nowhere to go: it is an error, and is drawn. */
            (void)mvadd_wch(row, column, &character);
        }
    (void)refresh();
}

bool screen_paint_key(uint32_t *ret_key)
{
    static const struct {
        wint_t code;
        uint32_t key;
    } keys[] = {{KEY_UP, TOP_KEY_UP},         {KEY_DOWN, TOP_KEY_DOWN},
                {KEY_PPAGE, TOP_KEY_PAGE_UP}, {KEY_NPAGE, TOP_KEY_PAGE_DOWN},
                {KEY_HOME, TOP_KEY_HOME},     {KEY_END, TOP_KEY_END},
                {KEY_ENTER, TOP_KEY_ENTER},   {KEY_BACKSPACE, TOP_KEY_BACKSPACE},
                {KEY_DC, TOP_KEY_BACKSPACE}};
    wint_t code;
    int kind;

    while ((kind = get_wch(&code)) != ERR) {
        if (kind != KEY_CODE_YES) {
            *ret_key = (uint32_t)code;
            return true;
        }
        for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
            if (code == keys[i].code) {
                *ret_key = keys[i].key;
                return true;
            }
    }
    return false;
}
