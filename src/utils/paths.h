#pragma once
/*
 * paths - where the rest of an installed tree is, seen from this program: bin/vgpu, lib/vgpu/....
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>

/* `<prefix>/lib/vgpu/<file>`; -ENOENT with words where there is none. */
int paths_find(const char *file, char *ret_path, size_t size, struct err *err) MUST_CHECK;
