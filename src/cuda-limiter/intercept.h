#pragma once
/*
 * intercept - the functions of libc that this library stands in front of (macro/libc.def): ioctl on
 * the driver's open files goes through the mediator; the others are watched only to know which
 * descriptors those are. Outside a tenant, and for every other descriptor, they do what libc's do,
 * errno included. They are declared where libc declares them.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
