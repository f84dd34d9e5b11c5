#include "cli/bench_rows.h"

#include "utils/str.h"

#include <math.h>

void bench_rows_add(struct bench_rows *rows, const char *claim, const char *more,
                    const struct bench_row *row)
{
    struct bench_row *to = &rows->rows[rows->count];

    if (rows->count == BENCH_ROWS_MAX)
        return;
    *to = *row;
    (void)str_format(to->claim, sizeof(to->claim), "%s%s", claim, more); /* cut at worst */
    rows->count++;
}

bool bench_rows_passes(const struct bench_row *row)
{
    if (isnan(row->got))
        return false;
    return row->is_least ? row->got >= row->bar : row->got <= row->bar;
}

size_t bench_rows_passed(const struct bench_rows *rows)
{
    size_t passed = 0;

    for (size_t i = 0; i < rows->count; i++)
        passed += bench_rows_passes(&rows->rows[i]);
    return passed;
}
