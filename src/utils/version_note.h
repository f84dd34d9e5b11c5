#pragma once
/*
 * version_note - the version that a library of ours carries in an ELF note, for whoever installs it
 * without loading it (bootstrap/version reads it).
 *
 * The note lies in the section .note.vgpu: owner "vgpu", type VERSION_NOTE_TYPE, content the
 * version as text with its NUL. VERSION_NOTE("1.2.3") stands once in a library, outside of
 * functions. It is written in assembly because compilers disagree on what type a section gets that
 * C names, and only a section of notes is found by its segment and kept by the linker.
 */
#define VERSION_NOTE_OWNER "vgpu"
#define VERSION_NOTE_TYPE  1
#define VERSION_NOTE(version)                                                                      \
    __asm__(".pushsection .note.vgpu, \"a\", %note\n"                                              \
            ".balign 4\n"                                                                          \
            ".4byte 5, 1f - 0f, 1\n"                                                               \
            ".asciz \"vgpu\"\n"                                                                    \
            ".balign 4\n"                                                                          \
            "0: .asciz \"" version "\"\n"                                                          \
            "1: .balign 4\n"                                                                       \
            ".popsection")
