/*
 * See write.h.
 */
#include "write.h"

#include <errno.h>

#include "ip.h"

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

void write_pieces(int fd, const struct iovec *pieces, int count, uint64_t packets, size_t bytes, struct written *written,
                  struct counters *counters)
{
    ssize_t put;
    do put = writev(fd, pieces, count);
    while (put < 0 && errno == EINTR);
    if (put < 0) {
        packets_count(counters, cause_of(errno), packets);
        return;
    }
    written->packets += packets;
    written->bytes += bytes;
    written->writes++;
}

void write_done(const struct written *written, struct counters *counters)
{
    if (written->packets == 0) return;
    packets_count(counters, COUNT_WRITTEN_PACKETS, written->packets);
    packets_count(counters, COUNT_WRITTEN_BYTES, written->bytes);
    packets_count(counters, COUNT_WRITES, written->writes);
}

size_t packet_at(const uint8_t *bytes, size_t length)
{
    if (length < IPV6_HEADER || ipv6_version(bytes) != 6) return 0;
    size_t size = ipv6_length(bytes);
    return size <= length ? size : 0;
}
