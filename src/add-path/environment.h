#pragma once
/*
 * environment - edits the environment of this process by the variables that libadd_path(7) lists.
 *
 * For the start of a program, while nobody else looks at its environment. Whatever the variables
 * hold, the program starts: what is broken is ignored, and where memory is not to be had, or the
 * new value would be longer than the kernel lets anybody pass on, the variable stays as it is.
 * Uses no malloc, which may be somebody's that is not ready yet, and no memory at all where
 * nothing changes. What it uses is never given back: the environment lies in it. Keeps errno.
 */
void environment_edit(void);
