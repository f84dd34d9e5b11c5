#pragma once
/*
 * closer - closes descriptors that strangers have sent. The last close of a file on a file system
 * of theirs, or of a connection with unsent bytes, takes as long as they like: it is done on a
 * thread, of which each user has one while something of theirs is left to close.
 */
#include "utils/attr.h"

#include <stddef.h>
#include <sys/types.h>

/* So much left to close of one user is more than happens to anybody who means well. */
#define CLOSER_MANY 512

/* Takes *fd, which becomes -1; -1 is let be. `uid` is who sent it. Any thread; does not wait. */
void closer_close(int *fd, uid_t uid);

/*
 * As that, for a connected unix socket: its other end is told at once, and only where descriptors
 * may lie in it unread it is left to the thread.
 */
void closer_end(int *fd, uid_t uid);

/* How many of this user's are not closed yet. */
size_t closer_count(uid_t uid) MUST_CHECK;
