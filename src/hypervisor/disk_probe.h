#pragma once
/*
 * disk_probe - whether a directory can be written to: tenants cannot be made or changed for good
 * where it cannot, and nobody would know before somebody asks.
 */
#include <stddef.h>

/*
 * Writes a small file beside a name and renames it, as all that is kept there is written, and
 * removes it. *ret_words: empty, or what is wrong, cut at its size. -EMFILE, -ENFILE, -ENOMEM: it
 * could not be found out. Takes as long as the disk does.
 */
int disk_probe(const char *directory, char *ret_words, size_t size);
