#pragma once
/*
 * bootstrap - installs the preload libraries into a volume that containers share.
 *
 * Files are there whole or not at all, and in this order, so that a run which is killed at any
 * instant leaves nothing broken and the next one ends where it would have ended:
 *
 *   1. <target>/.vgpu-bootstrap, the names of what is about to be installed, for an undo
 *   2. <target>/<name>.so, a copy of each <source>/<name>.so; a newer version is not replaced
 *   3. <target>/<name>.so.1, a link to it; a link or file of somebody else's is not replaced
 *   4. <target>/nvidia-smi
 *   5. <conf>/zz_tensor-fusion.conf, which has the loader look in <target>
 *   6. <conf>/ld.so.preload, which names what lies in <target> by then; foreign lines stay
 *
 * To undo is to go the same way back: first nothing is named, then nothing is there.
 */
#include "utils/attr.h"
#include "utils/err.h"

struct bootstrap_options;

/*
 * Says on standard output what it does, and on standard error what it leaves alone and why. Stops
 * at the first failure.
 */
int bootstrap_run(const struct bootstrap_options *options, struct err *err) MUST_CHECK;
