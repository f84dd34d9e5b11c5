#include "bootstrap/version.h"

#include "utils/version_note.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define SEGMENTS_MAX 256  /* that are looked at; no linker makes a tenth of them */
#define NOTES_MAX    1024 /* the same for the notes of a segment */

/* Reads exactly `size` bytes; false where the file has fewer there. */
static bool read_at(int fd, uint64_t offset, void *buffer, size_t size)
{
    char *to = buffer;

    while (size) {
        ssize_t count = offset > INT64_MAX ? 0 : pread(fd, to, size, (off_t)offset);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        to += count;
        offset += (uint64_t)count;
        size -= (size_t)count;
    }
    return true;
}

static bool read_header(int fd, Elf64_Ehdr *header)
{
    static const unsigned char wanted[] = {ELFMAG0, ELFMAG1,    ELFMAG2,
                                           ELFMAG3, ELFCLASS64, ELFDATA2LSB};

    return read_at(fd, 0, header, sizeof(*header)) &&
           memcmp(header->e_ident, wanted, sizeof(wanted)) == 0 &&
           header->e_phentsize == sizeof(Elf64_Phdr) && header->e_phnum <= SEGMENTS_MAX;
}

/* The content of a note of ours. */
static bool read_text(int fd, uint64_t offset, uint32_t size, char *ret_text)
{
    char text[VERSION_TEXT_MAX];

    if (size < 2 || size > sizeof(text) || !read_at(fd, offset, text, size))
        return false;
    if (memchr(text, '\0', size) != text + size - 1 || !version_is_valid(text))
        return false;
    memcpy(ret_text, text, size);
    return true;
}

static bool is_ours(int fd, uint64_t offset, const Elf64_Nhdr *note)
{
    char owner[sizeof(VERSION_NOTE_OWNER)];

    return note->n_type == VERSION_NOTE_TYPE && note->n_namesz == sizeof(owner) &&
           read_at(fd, offset, owner, sizeof(owner)) &&
           memcmp(owner, VERSION_NOTE_OWNER, sizeof(owner)) == 0;
}

static uint64_t round_up(uint64_t size, uint64_t align)
{
    return (size + align - 1) & ~(align - 1);
}

/* The sizes in a note have 32 bits, so that sums of them do not overflow 64. */
static bool read_notes(int fd, const Elf64_Phdr *segment, char *ret_text)
{
    uint64_t align = segment->p_align == 8 ? 8 : 4, at = 0;
    Elf64_Nhdr note;

    if (segment->p_offset > INT64_MAX || segment->p_filesz > INT64_MAX - segment->p_offset)
        return false;
    for (int i = 0; i < NOTES_MAX && at + sizeof(note) <= segment->p_filesz; i++) {
        uint64_t owner = at + sizeof(note), content;

        if (!read_at(fd, segment->p_offset + at, &note, sizeof(note)))
            return false;
        content = owner + round_up(note.n_namesz, align);
        at = content + round_up(note.n_descsz, align);
        if (content + note.n_descsz > segment->p_filesz)
            return false;
        if (is_ours(fd, segment->p_offset + owner, &note))
            return read_text(fd, segment->p_offset + content, note.n_descsz, ret_text);
    }
    return false;
}

bool version_read(int fd, char ret_text[VERSION_TEXT_MAX])
{
    Elf64_Ehdr header;
    Elf64_Phdr segment;

    if (!read_header(fd, &header) || header.e_phoff > INT64_MAX)
        return false;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        if (!read_at(fd, header.e_phoff + (uint64_t)i * sizeof(segment), &segment, sizeof(segment)))
            return false;
        if (segment.p_type == PT_NOTE && read_notes(fd, &segment, ret_text))
            return true;
    }
    return false;
}

/* --- order ------------------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *text)
{
    while (is_digit(*text))
        text++;
    return text;
}

bool version_is_valid(const char *text)
{
    const char *end = skip_digits(text);

    while (end > text && *end == '.' && is_digit(end[1]))
        end = skip_digits(end + 1);
    if (end == text || (*end && *end != '-' && *end != '+'))
        return false;
    for (; *end; end++)
        if (*end <= ' ' || *end > '~')
            return false;
    return true;
}

/* Takes one number of a version, without its leading zeros; none is taken as 0. */
static size_t take_number(const char **text, const char **ret_digits)
{
    const char *end;

    while (**text == '0')
        (*text)++;
    end = skip_digits(*text);
    *ret_digits = *text;
    *text = *end == '.' ? end + 1 : end;
    return (size_t)(end - *ret_digits);
}

static int compare_numbers(const char **a, const char **b)
{
    while (is_digit(**a) || is_digit(**b)) {
        const char *digits_a, *digits_b;
        size_t length_a = take_number(a, &digits_a), length_b = take_number(b, &digits_b);
        int order = length_a != length_b ? (length_a < length_b ? -1 : 1)
                                         : memcmp(digits_a, digits_b, length_a);

        if (order)
            return order;
    }
    return 0;
}

int version_compare(const char *a, const char *b)
{
    int order = compare_numbers(&a, &b);
    size_t length_a = strcspn(a, "+"), length_b = strcspn(b, "+");
    size_t shorter = length_a < length_b ? length_a : length_b;

    if (order)
        return order;
    if (!length_a || !length_b)
        return (length_b > 0) - (length_a > 0);
    order = strncmp(a, b, shorter);
    return order ? order : (length_a > length_b) - (length_a < length_b);
}
