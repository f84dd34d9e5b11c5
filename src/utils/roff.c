#include "utils/roff.h"

void roff_print(FILE *file, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", file);
    for (; *text; text++)
        if (*text == '-' || *text == '\\')
            fprintf(file, "\\%s", *text == '\\' ? "e" : "-");
        else
            fputc(*text, file);
}

void roff_line(FILE *file, const char *before, const char *text)
{
    fputs(before, file);
    roff_print(file, text);
    fputc('\n', file);
}
