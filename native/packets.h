/*
 * Runs of IPv6 packets, back to back in memory, read from and written to a TUN descriptor. With offload the kernel passes
 * larger pieces than packets; a run shows packets all the same, so whoever handles runs need not know. Knows no threads
 * and no JavaScript.
 */
#ifndef GARLIGATE_PACKETS_H
#define GARLIGATE_PACKETS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "offload.h"

/* Nothing that a TUN hands over in one read is longer: with this much room left, nothing is ever cut. */
#define PACKETS_ROOM 65536

enum counter {
    COUNT_READ_PACKETS,
    COUNT_READ_BYTES,
    COUNT_READ_NOT_IPV6,
    COUNT_READ_BAD_LENGTH,
    COUNT_READ_BAD_OFFLOAD,
    COUNT_WRITTEN_PACKETS,
    COUNT_WRITTEN_BYTES,
    COUNT_WRITE_INTERFACE_DOWN,
    COUNT_WRITE_INTERFACE_GONE,
    COUNT_WRITE_NO_MEMORY,
    COUNT_WRITE_QUEUE_FULL,
    COUNT_WRITE_TOO_BIG,
    COUNT_WRITE_REFUSED,
    /* System calls that passed packets: what offload saves. */
    COUNT_READS,
    COUNT_WRITES,
    COUNTERS
};

/* Written by the reading thread and by the thread that writes, read by anyone. */
struct counters {
    _Atomic uint64_t of[COUNTERS];
};

void packets_count(struct counters *counters, enum counter which, uint64_t by);

/* One descriptor, and what is held between its reads. One reader and one writer at a time. */
struct packets {
    int fd;
    enum offload offload;
    struct counters counters;
    struct intake *intake; /* NULL without offload */
};

/* Returns false when there is no memory. */
bool packets_open(struct packets *packets, int fd, enum offload offload);
void packets_close(struct packets *packets);

/*
 * What one read has brought stands together: packets that differ in nothing but lengths, checksums, sequence numbers and the
 * flags of the last, which is not longer than the others.
 */
struct row {
    uint32_t bytes;
    uint32_t packets;
};

/* Where packets are collected. */
struct slab {
    uint8_t *bytes;
    size_t size;
    size_t used;
    struct row *rows;
    size_t most_rows;
    size_t row_count;
};

/* Whether one more read may go into it. */
bool slab_has_room(const struct slab *slab);

enum burst {
    BURST_EMPTIED, /* the kernel holds no more packets for now */
    BURST_FULL,    /* what comes next does not fit */
    BURST_FAILED   /* errno says why: the device is gone */
};

/* Appends packets until one of the above holds. Into an empty slab of four times PACKETS_ROOM at least one fits. What is
 * not a well-formed IPv6 packet is counted and dropped. */
enum burst packets_read(struct packets *packets, struct slab *slab);

/*
 * Writes every packet of the run; one that the kernel does not take is counted and skipped. Returns the bytes consumed:
 * `length`, or less when a malformed packet stands there. `segment`: see coalesce_write; without offload the kernel gets
 * long packets as they are.
 */
size_t packets_write(struct packets *packets, const uint8_t *run, size_t length, size_t segment);

#endif
