/*
 * What a TUN must be given for a run of packets: each of them once, unchanged, those of one flow in order, and in
 * super-packets only what a kernel makes the same packets of.
 */
#ifndef GARLIGATE_FUZZ_EXPECT_H
#define GARLIGATE_FUZZ_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "choices.h"
#include "packets.h"

/* The descriptor of the TUN: writev(2) to it comes here. */
enum { EXPECT_DESCRIPTOR = 1 << 20 };

/* Writes the run, with errors that `choices` decides on, and looks at all that comes of it. `segment`: as packets_write. */
void expect_write(struct packets *packets, const uint8_t *run, size_t length, size_t segment, struct choices *choices);

#endif
