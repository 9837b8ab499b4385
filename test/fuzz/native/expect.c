/*
 * See expect.h.
 */
#define _GNU_SOURCE
#include "expect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "make.h"
#include "opinion.h"
#include "scenario.h"

enum { IPV6 = 40, TCP = 6, UDP = 17, MOST_PACKETS = 70000, MOST_SEGMENTS = 64, LONGEST_WRITE = MAKE_LONGEST + 10 };

struct expected {
    const uint8_t *bytes;
    size_t length;
    bool done;
};

/* Of the run that is being written. */
static struct {
    struct packets *packets;
    size_t segment;
    struct choices *choices;
    struct expected list[MOST_PACKETS];
    size_t count;
    size_t first; /* all before it are done */
    uint64_t counted[COUNTERS];
} now;

/* Packets that say so have an order among themselves alone; before and behind all others nothing may change places. */
static bool has_flow(const struct expected *packet)
{
    uint8_t protocol = packet->bytes[6];
    return (protocol == TCP && packet->length >= IPV6 + 20) || (protocol == UDP && packet->length >= IPV6 + 8);
}

static bool may_change_places(const struct expected *one, const struct expected *other)
{
    return has_flow(one) && has_flow(other) &&
           (one->bytes[6] != other->bytes[6] || memcmp(one->bytes + 8, other->bytes + 8, 36) != 0);
}

/* The packet that has to come next, if it is the one that came. */
static struct expected *take(const uint8_t *bytes, size_t length, size_t field)
{
    while (now.first < now.count && now.list[now.first].done) now.first++;
    for (size_t at = now.first; at < now.count; at++) {
        struct expected *packet = &now.list[at];
        if (packet->done || packet->length != length) continue;
        bool same = field == 0 ? memcmp(packet->bytes, bytes, length) == 0
                               : opinion_same(packet->bytes, bytes, length, field);
        if (!same) continue;
        for (size_t before = now.first; before < at; before++) {
            if (!now.list[before].done && !may_change_places(&now.list[before], packet)) {
                broken("packet %zu was written before packet %zu", at, before);
            }
        }
        packet->done = true;
        return packet;
    }
    broken("a packet of %zu bytes was written that was not given, or twice", length);
}

static void see_alone(const uint8_t *packet, size_t length, uint64_t *packets, uint64_t *bytes)
{
    take(packet, length, 0);
    *packets = 1;
    *bytes = length;
    reach(REACH_ALONE);
}

/* One packet of the run, which a peer sent as it is. */
static bool is_whole(const struct opinion_super *super, const uint8_t *packet)
{
    static uint8_t complete[MAKE_LONGEST];
    if (super->protocol != TCP || super->headers + super->piece != now.segment) return false;
    size_t length = opinion_segment(super, packet, 0, super->length, complete);
    for (size_t at = now.first; at < now.count; at++) {
        const struct expected *one = &now.list[at];
        if (!one->done && one->length == length && opinion_same(one->bytes, complete, length, super->field)) {
            take(complete, length, super->field);
            return true;
        }
    }
    return false;
}

static void see_super(const struct virtio_net_hdr *header, const uint8_t *packet, size_t length, uint64_t *packets,
                      uint64_t *bytes)
{
    static uint8_t one[MAKE_LONGEST];
    struct opinion_super super;
    if (!opinion_super(header, packet, length, &super)) broken("a super-packet that no kernel takes");
    size_t payload = length - super.headers;
    size_t pieces = (payload + super.piece - 1) / super.piece;
    if (header->flags != VIRTIO_NET_HDR_F_NEEDS_CSUM || header->csum_start != IPV6 ||
        header->csum_start + header->csum_offset != super.field || header->hdr_len != super.headers) {
        broken("the header of a super-packet is wrong");
    }
    bool udp = super.protocol == UDP;
    if (packet[6] != super.protocol || length != IPV6 + ((size_t)packet[4] << 8 | packet[5])) broken("a wrong length");
    if (udp && length - IPV6 != ((size_t)packet[44] << 8 | packet[45])) broken("a wrong length of UDP");
    if (udp && now.packets->offload != OFFLOAD_TCP_UDP) broken("a super-packet of UDP without the offload");
    uint16_t sum = (uint16_t)(packet[super.field] << 8 | packet[super.field + 1]);
    if (sum != opinion_pseudo(packet, length - IPV6, super.protocol)) broken("not the sum of the pseudo-header");
    if (pieces < 2) broken("a super-packet of one");
    if (is_whole(&super, packet)) {
        *packets = 1;
        *bytes = length;
        reach(REACH_WHOLE);
        return;
    }
    if (pieces > MOST_SEGMENTS) broken("%zu packets in one", pieces);
    for (size_t at = 0; at < payload; at += super.piece) {
        take(one, opinion_segment(&super, packet, at, super.piece, one), super.field);
    }
    *packets = pieces;
    *bytes = payload + pieces * super.headers;
    reach(REACH_JOINED);
}

static size_t gather(const struct iovec *pieces, int count, uint8_t *to)
{
    size_t length = 0;
    for (int at = 0; at < count; at++) {
        if (pieces[at].iov_len > LONGEST_WRITE - length) broken("a write longer than any packet");
        memcpy(to + length, pieces[at].iov_base, pieces[at].iov_len);
        length += pieces[at].iov_len;
    }
    return length;
}

static void see(const uint8_t *bytes, size_t length, uint64_t *packets, uint64_t *sum)
{
    static const struct virtio_net_hdr nothing;
    struct virtio_net_hdr header = nothing;
    if (now.packets->offload != OFFLOAD_NONE) {
        if (length < sizeof header + IPV6) broken("a write shorter than any packet");
        memcpy(&header, bytes, sizeof header);
        bytes += sizeof header;
        length -= sizeof header;
    }
    if (header.gso_type != VIRTIO_NET_HDR_GSO_NONE) see_super(&header, bytes, length, packets, sum);
    else if (memcmp(&header, &nothing, sizeof header) != 0) broken("the header of a single packet says something");
    else see_alone(bytes, length, packets, sum);
}

static int error_of(struct choices *choices, enum counter *cause)
{
    static const struct {
        int error;
        enum counter cause;
    } errors[] = {{EAGAIN, COUNT_WRITE_QUEUE_FULL},     {EIO, COUNT_WRITE_INTERFACE_DOWN},
                  {EBADFD, COUNT_WRITE_INTERFACE_GONE}, {ENOBUFS, COUNT_WRITE_NO_MEMORY},
                  {EMSGSIZE, COUNT_WRITE_TOO_BIG},      {EINVAL, COUNT_WRITE_REFUSED},
                  {ENODEV, COUNT_WRITE_INTERFACE_GONE}, {ENOMEM, COUNT_WRITE_NO_MEMORY}};
    if (!rarely(choices, 16)) return 0;
    size_t which = choose(choices, sizeof errors / sizeof errors[0]);
    *cause = errors[which].cause;
    return errors[which].error;
}

/* In place of the system call (ld --wrap). */
ssize_t __wrap_writev(int descriptor, const struct iovec *pieces, int count);
ssize_t __wrap_writev(int descriptor, const struct iovec *pieces, int count)
{
    static uint8_t bytes[LONGEST_WRITE];
    uint64_t packets;
    uint64_t sum;
    enum counter cause;
    if (descriptor != EXPECT_DESCRIPTOR) broken("a write to another descriptor");
    if (rarely(now.choices, 64)) {
        errno = EINTR;
        return -1;
    }
    size_t length = gather(pieces, count, bytes);
    see(bytes, length, &packets, &sum);
    int error = error_of(now.choices, &cause);
    if (error != 0) {
        now.counted[cause] += packets;
        reach(REACH_REFUSED);
        errno = error;
        return -1;
    }
    now.counted[COUNT_WRITTEN_PACKETS] += packets;
    now.counted[COUNT_WRITTEN_BYTES] += sum;
    now.counted[COUNT_WRITES]++;
    return (ssize_t)length;
}

/* Returns the bytes that are packets. */
static size_t list_packets(const uint8_t *run, size_t length)
{
    size_t at = 0;
    now.count = now.first = 0;
    while (length - at >= IPV6 && run[at] >> 4 == 6) {
        size_t size = IPV6 + ((size_t)run[at + 4] << 8 | run[at + 5]);
        if (size > length - at) break;
        if (now.count == MOST_PACKETS) broken("more packets than there is room for here");
        now.list[now.count++] = (struct expected){.bytes = run + at, .length = size};
        at += size;
    }
    return at;
}

void expect_write(struct packets *packets, const uint8_t *run, size_t length, size_t segment, struct choices *choices)
{
    uint8_t *before = malloc(length);
    if (before == NULL) return;
    memcpy(before, run, length);
    now.packets = packets;
    now.segment = segment;
    now.choices = choices;
    size_t whole = list_packets(before, length);
    for (size_t which = 0; which < COUNTERS; which++) now.counted[which] = packets->counters.of[which];

    size_t consumed = packets_write(packets, run, length, segment);
    if (consumed != whole) broken("%zu bytes consumed, and %zu are packets", consumed, whole);
    if (memcmp(before, run, length) != 0) broken("the run was changed");
    for (size_t at = now.first; at < now.count; at++) {
        if (!now.list[at].done) broken("packet %zu of %zu was not written", at, now.count);
    }
    for (size_t which = 0; which < COUNTERS; which++) {
        if (packets->counters.of[which] != now.counted[which]) broken("counter %zu is wrong", which);
    }
    free(before);
}
