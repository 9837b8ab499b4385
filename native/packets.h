/*
 * Runs of IPv6 packets, back to back in memory, read from and written to a TUN descriptor. Knows the IPv6 header only as
 * far as its length goes; knows no threads and no JavaScript.
 */
#ifndef GARLIGATE_PACKETS_H
#define GARLIGATE_PACKETS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* No packet of a TUN is longer than its largest MTU, 65535: with this much room left, none is ever cut. */
#define PACKETS_ROOM 65536

enum counter {
    COUNT_READ_PACKETS,
    COUNT_READ_BYTES,
    COUNT_READ_NOT_IPV6,
    COUNT_READ_BAD_LENGTH,
    COUNT_WRITTEN_PACKETS,
    COUNT_WRITTEN_BYTES,
    COUNT_WRITE_INTERFACE_DOWN,
    COUNT_WRITE_INTERFACE_GONE,
    COUNT_WRITE_NO_MEMORY,
    COUNT_WRITE_QUEUE_FULL,
    COUNT_WRITE_TOO_BIG,
    COUNT_WRITE_REFUSED,
    COUNTERS
};

/* Written by the reading thread and by the thread that writes, read by anyone. */
struct counters {
    _Atomic uint64_t of[COUNTERS];
};

enum burst {
    BURST_EMPTIED, /* the kernel holds no more packets for now */
    BURST_FULL,    /* less than PACKETS_ROOM bytes are left */
    BURST_FAILED   /* errno says why: the device is gone */
};

/* Appends packets at `*used` until one of the above holds. What is not a well-formed IPv6 packet is counted and
 * overwritten by the next one. */
enum burst packets_read(int fd, uint8_t *slab, size_t size, size_t *used, struct counters *counters);

/*
 * Writes every packet of the run; one that the kernel does not take is counted and skipped. Returns the bytes consumed:
 * `length`, or less when a malformed packet stands there.
 */
size_t packets_write(int fd, const uint8_t *run, size_t length, struct counters *counters);

#endif
