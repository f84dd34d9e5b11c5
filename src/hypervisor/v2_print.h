#pragma once
/*
 * v2_print - a pod's shared file as text for people (`show-shm`), of either version.
 */
#include "hypervisor/v2_region.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdint.h>
#include <stdio.h>

void v2_print(FILE *file, const struct v2_region *region, uint64_t now_unix_s);

/* Finds, reads and prints the file of one pod below a base; 0, or a negative errno with words. */
int v2_print_pod(FILE *file, const char *base_path, const char *namespace, const char *name,
                 struct err *err) MUST_CHECK;
