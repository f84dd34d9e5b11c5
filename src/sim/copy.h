#pragma once
/*
 * copy - moving and filling memory: the bytes themselves, on the host, and the time that it takes,
 * on a copy engine. Contents move when the program asks for it, except to host memory: then the
 * call waits for what comes before it in the stream.
 */
#include "abi/cuda.h"
#include "utils/attr.h"

#include <stdint.h>

enum copy_kind { COPY_NOTHING, COPY_BYTES, COPY_FILL_8, COPY_FILL_32 };

struct copy_content {
    enum copy_kind kind;
    uint64_t target, source;
    uint64_t bytes;
    uint32_t value; /* of a filling */
};

CUresult copy_run(const struct copy_content *content) MUST_CHECK;
