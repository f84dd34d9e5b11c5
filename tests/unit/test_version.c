#include "bootstrap/version.h"

#include "tests/harness.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The smallest file that carries a version: a header, a segment of notes, a foreign note and
 * ours.
 */
struct image {
    Elf64_Ehdr header;
    Elf64_Phdr load, notes;
    struct {
        Elf64_Nhdr head;
        char owner[4], content[20];
    } foreign;
    struct {
        Elf64_Nhdr head;
        char owner[8], content[8];
    } ours;
};

static const struct image good = {
    .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
               .e_phoff = offsetof(struct image, load),
               .e_phentsize = sizeof(Elf64_Phdr),
               .e_phnum = 2},
    .load = {.p_type = PT_LOAD},
    .notes = {.p_type = PT_NOTE,
              .p_offset = offsetof(struct image, foreign),
              .p_filesz = sizeof(struct image) - offsetof(struct image, foreign),
              .p_align = 4},
    .foreign = {.head = {4, 20, 3}, .owner = "GNU"},
    .ours = {.head = {5, 6, 1}, .owner = "vgpu", .content = "1.2.3"},
};

static int make_file(const void *content, size_t size)
{
    int fd = memfd_create("image", MFD_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, content, size), size);
    return fd;
}

/* Whether the image has a version; "" is put in `text` where not. */
static bool read_image(const struct image *image, char *text)
{
    int fd = make_file(image, sizeof(*image));
    bool has_version;

    text[0] = '\0';
    has_version = version_read(fd, text);
    close(fd);
    return has_version;
}

TEST(the_note_is_found_behind_others)
{
    char text[VERSION_TEXT_MAX];

    CHECK(read_image(&good, text));
    CHECK_STR_EQ(text, "1.2.3");
}

TEST(a_file_cut_anywhere_has_no_version)
{
    char text[VERSION_TEXT_MAX] = "untouched";
    int fd = make_file(&good, sizeof(good));

    /* What is behind the version's NUL is padding that nobody needs. */
    for (off_t size = (off_t)offsetof(struct image, ours.content) + 6; size-- > 0;) {
        CHECK_EQ(ftruncate(fd, size), 0);
        CHECK(!version_read(fd, text));
    }
    CHECK_STR_EQ(text, "untouched");
    close(fd);
}

/*
 * Each byte at each value that has ever been worth trying: it ends, and what it says is a
 * version.
 */
TEST(a_file_with_any_byte_changed_is_read_within_its_bounds)
{
    static const unsigned char values[] = {0, 1, 2, 0x7f, 0x80, 0xfe, 0xff};
    char text[VERSION_TEXT_MAX];

    for (size_t at = 0; at < sizeof(good); at++)
        for (size_t i = 0; i < sizeof(values); i++) {
            struct image image = good;

            ((unsigned char *)&image)[at] = values[i];
            if (read_image(&image, text))
                CHECK(version_is_valid(text));
        }
}

/* Whole words, where the sums would overflow. */
TEST(a_file_with_any_word_enormous_has_no_version_or_a_valid_one)
{
    static const uint64_t values[] = {UINT64_MAX, INT64_MAX, UINT64_MAX - 11, UINT32_MAX, 1u << 31};
    char text[VERSION_TEXT_MAX];

    for (size_t at = 0; at + 8 <= sizeof(good); at += 4)
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            struct image image = good;

            memcpy((char *)&image + at, &values[i], 8);
            if (read_image(&image, text))
                CHECK(version_is_valid(text));
        }
}

TEST(a_segment_of_nothing_but_empty_notes_is_given_up)
{
    struct image image = good;
    char text[VERSION_TEXT_MAX];
    int fd;

    image.notes.p_filesz = INT64_MAX / 2;
    memset(&image.foreign, 0, sizeof(image.foreign));
    memset(&image.ours, 0, sizeof(image.ours));
    fd = make_file(&image, sizeof(image));
    CHECK_EQ(ftruncate(fd, (off_t)1 << 40), 0); /* zeros without an end */
    CHECK(!version_read(fd, text));
    close(fd);
}

TEST(a_version_that_is_none_does_not_count)
{
    struct image image = good;
    char text[VERSION_TEXT_MAX];

    memcpy(image.ours.content, "1.2.\n", 6);
    CHECK(!read_image(&image, text));
    image = good;
    memcpy(image.ours.content, "1.2.3x", 6); /* no NUL */
    CHECK(!read_image(&image, text));
    image = good;
    image.ours.head.n_type = 2;
    CHECK(!read_image(&image, text));
    image = good;
    memcpy(image.ours.owner, "vGPU", 4);
    CHECK(!read_image(&image, text));
    CHECK(!version_is_valid("") && !version_is_valid("1.") && !version_is_valid(".1"));
    CHECK(!version_is_valid("v1") && !version_is_valid("1.2 3") && !version_is_valid("1..2"));
    CHECK(version_is_valid("1") && version_is_valid("1.02.3-rc1+x"));
}

static void check_order(const char *older, const char *newer)
{
    CHECK(version_compare(older, newer) < 0);
    CHECK(version_compare(newer, older) > 0);
}

TEST(versions_are_ordered_by_their_numbers)
{
    check_order("0.1.0", "0.1.1");
    check_order("0.9", "0.10");
    check_order("1.2", "1.2.0.1");
    check_order("2", "10");
    check_order("99999999999999999999", "100000000000000000000");
    check_order("1.0-rc1", "1.0");
    check_order("1.0-rc1", "1.0-rc2");
    check_order("1.0-rc", "1.0-rc1");
    check_order("0.9", "1.0-rc1");
    CHECK_EQ(version_compare("1.0", "1"), 0);
    CHECK_EQ(version_compare("1.01", "1.1.0"), 0);
    CHECK_EQ(version_compare("1.0+a", "1.0+b"), 0);
    CHECK_EQ(version_compare("1.0-rc1+a", "1.0-rc1"), 0);
}
