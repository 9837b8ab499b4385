/*
 * Reading with offload: one piece at a time into memory of its own, and from there, cut into packets where the
 * receiver wants packets, into the run. What
 * does not fit any more waits for the next run.
 */
#ifndef GARLIGATE_INTAKE_H
#define GARLIGATE_INTAKE_H

#include "packets.h"
#include "whole.h"

struct intake;

struct intake *intake_new(void);
void intake_free(struct intake *intake);

/* How far a burst has come. */
struct progress {
    uint64_t packets;
    uint64_t reads;
};

enum burst intake_read(struct intake *intake, int fd, struct counters *counters, struct slab *slab,
                       struct progress *progress);

/* Which super-packets are not cut. */
struct whole *intake_whole(struct intake *intake);

/* Whether what was read is one IPv6 packet, as long as its header says; counted when it is not. */
bool intake_is_packet(const uint8_t *bytes, size_t length, struct counters *counters);

#endif
