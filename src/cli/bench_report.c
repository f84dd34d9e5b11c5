#include "cli/bench_report.h"

#include "cli/bench_rows.h"

#include <jansson.h>
#include <math.h>
#include <unistd.h>

#define ROW_PIXELS  22
#define TEXT_PIXELS 520
#define BAR_PIXELS  240 /* what is just at its bar */
#define MOST        1.4 /* of a bar that is drawn */
#define HEAD_PIXELS 48

void bench_report_table(const struct bench_report *report, FILE *file)
{
    bool is_coloured = isatty(fileno(file));
    size_t passed = bench_rows_passed(report->rows);

    fprintf(file, "%s, driver %s, engine %s\n", report->gpu, report->driver, report->engine);
    for (size_t i = 0; i < report->rows->count; i++) {
        const struct bench_row *row = &report->rows->rows[i];
        bool passes = bench_rows_passes(row);
        char got[24];

        (void)snprintf(got, sizeof(got), isnan(row->got) ? "-" : "%.2f", row->got);
        fprintf(file, "%s%s%s  %-86s %9s %s %-6g %s\n",
                !is_coloured ? ""
                : passes     ? "\033[32m"
                             : "\033[31m",
                passes ? "pass" : "FAIL", is_coloured ? "\033[0m" : "", row->claim, got,
                row->is_least ? ">=" : "<=", row->bar, row->unit);
    }
    fprintf(file, "%zu passed, %zu failed\n", passed, report->rows->count - passed);
}

void bench_report_json(const struct bench_report *report, FILE *file)
{
    json_t *rows = json_array(), *object;

    for (size_t i = 0; i < report->rows->count; i++) {
        const struct bench_row *row = &report->rows->rows[i];

        (void)json_array_append_new(
            rows, json_pack("{s:s, s:o, s:f, s:s, s:b}", "claim", row->claim, "got",
                            isnan(row->got) ? json_null() : json_real(row->got), "bar", row->bar,
                            "unit", row->unit, "pass", bench_rows_passes(row)));
    }
    object = json_pack("{s:s, s:s, s:s, s:o}", "gpu", report->gpu, "driver", report->driver,
                       "engine", report->engine, "rows", rows);
    (void)json_dumpf(object, file, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    fprintf(file, "\n");
    json_decref(object);
}

static void print_escaped(const char *text, FILE *file)
{
    for (; *text; text++)
        switch (*text) {
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '&':
            fputs("&amp;", file);
            break;
        default:
            fputc(*text, file);
        }
}

static void draw_row(const struct bench_row *row, size_t place, FILE *file)
{
    size_t y = HEAD_PIXELS + place * ROW_PIXELS;
    double part = isnan(row->got) ? 0
                  : row->bar > 0  ? row->got / row->bar
                  : row->got > 0  ? MOST
                                  : 0;

    fprintf(file, "<text x=\"10\" y=\"%zu\">", y + 15);
    print_escaped(row->claim, file);
    fprintf(file, "</text>\n<rect x=\"%d\" y=\"%zu\" width=\"%.1f\" height=\"14\" fill=\"%s\"/>\n",
            TEXT_PIXELS, y + 4, BAR_PIXELS * fmax(0.005, fmin(MOST, part)),
            bench_rows_passes(row) ? "#2e8b57" : "#c0392b");
    fprintf(file, "<text x=\"%.0f\" y=\"%zu\">", TEXT_PIXELS + BAR_PIXELS * MOST + 10, y + 15);
    if (isnan(row->got))
        fputs("not measured", file);
    else
        fprintf(file, "%.2f (%s %g) ", row->got, row->is_least ? "&gt;=" : "&lt;=", row->bar);
    print_escaped(row->unit, file);
    fputs("</text>\n", file);
}

void bench_report_svg(const struct bench_report *report, FILE *file)
{
    size_t height = HEAD_PIXELS + report->rows->count * ROW_PIXELS + 10;

    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"10\" y=\"20\" font-size=\"14\" font-weight=\"bold\">",
            1040, height);
    print_escaped(report->gpu, file);
    fputs(", driver ", file);
    print_escaped(report->driver, file);
    fputs("</text>\n<text x=\"10\" y=\"38\" fill=\"#555\">"
          "what was got, as a part of its bar (the line)</text>\n",
          file);
    for (size_t i = 0; i < report->rows->count; i++)
        draw_row(&report->rows->rows[i], i, file);
    fprintf(file, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%zu\" stroke=\"black\"/>\n</svg>\n",
            TEXT_PIXELS + BAR_PIXELS, HEAD_PIXELS, TEXT_PIXELS + BAR_PIXELS, height - 10);
}
