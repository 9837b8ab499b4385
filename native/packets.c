/*
 * Reading and writing runs of packets, one system call each. See packets.h.
 */
#include "packets.h"

#include <errno.h>
#include <unistd.h>

enum { IPV6_HEADER = 40 };

/* RFC 8200 section 3. */
static inline unsigned version_of(const uint8_t *packet)
{
    return packet[0] >> 4;
}

static inline size_t length_of(const uint8_t *packet)
{
    return IPV6_HEADER + ((size_t)packet[4] << 8 | packet[5]);
}

static inline void count(struct counters *counters, enum counter which, uint64_t by)
{
    atomic_fetch_add_explicit(&counters->of[which], by, memory_order_relaxed);
}

enum burst packets_read(int fd, uint8_t *slab, size_t size, size_t *used, struct counters *counters)
{
    size_t at = *used;
    uint64_t packets = 0;
    enum burst end = BURST_FULL;

    while (size - at >= PACKETS_ROOM) {
        uint8_t *packet = slab + at;
        ssize_t got = read(fd, packet, PACKETS_ROOM);
        if (got < 0) {
            if (errno == EINTR) continue;
            end = errno == EAGAIN ? BURST_EMPTIED : BURST_FAILED;
            break;
        }
        if (got < 1 || version_of(packet) != 6) {
            count(counters, COUNT_READ_NOT_IPV6, 1);
        } else if (got < IPV6_HEADER || (size_t)got != length_of(packet)) {
            count(counters, COUNT_READ_BAD_LENGTH, 1);
        } else {
            at += (size_t)got;
            packets++;
        }
    }

    int error = errno;
    if (packets > 0) {
        count(counters, COUNT_READ_PACKETS, packets);
        count(counters, COUNT_READ_BYTES, at - *used);
        *used = at;
    }
    errno = error;
    return end;
}

static enum counter cause_of(int error)
{
    switch (error) {
    case EIO: /* what TUN says while the interface is administratively down */
        return COUNT_WRITE_INTERFACE_DOWN;
    case EBADFD:
    case ENODEV:
    case ENXIO:
        return COUNT_WRITE_INTERFACE_GONE;
    case ENOMEM:
    case ENOBUFS:
        return COUNT_WRITE_NO_MEMORY;
    case EAGAIN:
        return COUNT_WRITE_QUEUE_FULL;
    case EMSGSIZE:
    case E2BIG:
        return COUNT_WRITE_TOO_BIG;
    default:
        return COUNT_WRITE_REFUSED;
    }
}

size_t packets_write(int fd, const uint8_t *run, size_t length, struct counters *counters)
{
    size_t at = 0;
    uint64_t packets = 0;
    uint64_t bytes = 0;

    while (length - at >= IPV6_HEADER) {
        const uint8_t *packet = run + at;
        size_t size = length_of(packet);
        if (version_of(packet) != 6 || size > length - at) break;
        at += size;

        ssize_t put;
        do put = write(fd, packet, size);
        while (put < 0 && errno == EINTR);
        if (put < 0) {
            count(counters, cause_of(errno), 1);
        } else {
            packets++;
            bytes += size;
        }
    }

    if (packets > 0) {
        count(counters, COUNT_WRITTEN_PACKETS, packets);
        count(counters, COUNT_WRITTEN_BYTES, bytes);
    }
    return at;
}
