/*
 * One write to a TUN, and the account of it.
 */
#ifndef GARLIGATE_WRITE_H
#define GARLIGATE_WRITE_H

#include <sys/uio.h>

#include "packets.h"

/* Collected over a run, so that the shared counters are touched once. */
struct written {
    uint64_t packets;
    uint64_t bytes;
    uint64_t writes;
};

/* Writes what stands for `packets` packets of `bytes` bytes together. What the kernel does not take is counted by cause. */
void write_pieces(int fd, const struct iovec *pieces, int count, uint64_t packets, size_t bytes, struct written *written,
                  struct counters *counters);

void write_done(const struct written *written, struct counters *counters);

/* The length of the packet at the start of these bytes; 0 when no whole IPv6 packet stands there. */
size_t packet_at(const uint8_t *bytes, size_t length);

#endif
