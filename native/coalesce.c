/*
 * Groups of packets while they grow, and how each is written. See coalesce.h.
 *
 * A super-packet tells the kernel that the checksums in it are right. So every packet is verified before it joins one, and
 * one that is wrong is written alone, for the kernel to refuse and count. And nothing may get lost in the merging: packets
 * join only when they differ in nothing but sequence number, checksum, and a push or a short payload at the end.
 */
#include "coalesce.h"

#include <string.h>

#include "checksum.h"
#include "ip.h"
#include "write.h"

enum {
    GROUPS = 8,
    LONGEST_GROUP = 64,
    LONGEST_HEADERS = IPV6_HEADER + TCP_LONGEST_HEADER,
    ADDRESSES_AND_PORTS = 36 /* addresses and, right behind an IPv6 header without extensions, both ports */
};

struct packet {
    const uint8_t *bytes;
    size_t length;
    size_t headers;
    uint8_t protocol;
};

struct group {
    struct packet first;
    size_t payload; /* of all */
    size_t piece;   /* payload of each but the last */
    unsigned packets;
    bool verified; /* the first; the others always are */
    bool complete; /* nothing may join any more */
    bool push;
    struct iovec pieces[2 + LONGEST_GROUP]; /* virtio header, headers, payloads */
};

struct writer {
    int fd;
    bool udp;
    size_t segment; /* see coalesce_write */
    struct counters *counters;
    struct written written;
    unsigned open;
    unsigned oldest;
    struct group groups[GROUPS];
};

static struct iovec piece_of(const void *bytes, size_t length)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
}

static size_t payload_of(const struct packet *packet)
{
    return packet->length - packet->headers;
}

static const uint8_t *transport_of(const struct packet *packet)
{
    return packet->bytes + IPV6_HEADER;
}

static bool is_right(const struct packet *packet)
{
    size_t length = packet->length - IPV6_HEADER;
    uint64_t sum = checksum_pseudo(packet->bytes + IPV6_ADDRESSES, length, packet->protocol);
    return checksum_fold(checksum_add(sum, transport_of(packet), length)) == 0xffff;
}

/* Written as it is; the kernel verifies it. */
static void write_alone(struct writer *writer, const struct packet *packet)
{
    static const struct virtio_net_hdr nothing;
    const struct iovec pieces[2] = {piece_of(&nothing, sizeof nothing), piece_of(packet->bytes, packet->length)};
    write_pieces(writer->fd, pieces, 2, 1, packet->length, &writer->written, writer->counters);
}

/* Every field is made here, from what was verified: none comes from whoever sent the packets. */
static void write_super(struct writer *writer, struct group *group)
{
    const struct packet *first = &group->first;
    bool tcp = first->protocol == PROTOCOL_TCP;
    size_t transport = first->headers - IPV6_HEADER + group->payload;
    uint8_t headers[LONGEST_HEADERS];
    memcpy(headers, first->bytes, first->headers);
    put16(headers + IPV6_LENGTH, transport);
    if (group->push) headers[IPV6_HEADER + TCP_FLAGS] |= TCP_PSH;
    if (!tcp) put16(headers + IPV6_HEADER + UDP_LENGTH, transport);
    uint16_t offset = tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
    uint64_t pseudo = checksum_pseudo(headers + IPV6_ADDRESSES, transport, first->protocol);
    put_checksum(headers + IPV6_HEADER + offset, checksum_fold(pseudo));

    const struct virtio_net_hdr header = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = tcp ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_UDP_L4,
        .hdr_len = (uint16_t)first->headers,
        .gso_size = (uint16_t)group->piece,
        .csum_start = IPV6_HEADER,
        .csum_offset = offset,
    };
    group->pieces[0] = piece_of(&header, sizeof header);
    group->pieces[1] = piece_of(headers, first->headers);
    size_t bytes = group->packets * first->headers + group->payload;
    write_pieces(writer->fd, group->pieces, 2 + (int)group->packets, group->packets, bytes, &writer->written,
                 writer->counters);
}

static void flush(struct writer *writer, struct group *group)
{
    if (group->packets > 1) write_super(writer, group);
    else if (group->packets == 1) write_alone(writer, &group->first);
    group->packets = 0;
}

static void flush_all(struct writer *writer)
{
    for (unsigned index = 0; index < writer->open; index++) flush(writer, &writer->groups[index]);
    writer->open = 0;
}

/* Whether the packet is of a kind that could be merged with its neighbours. */
static bool take_apart(struct packet *packet, const uint8_t *bytes, size_t length, bool udp)
{
    *packet = (struct packet){.bytes = bytes, .length = length, .protocol = bytes[IPV6_NEXT_HEADER]};
    const uint8_t *transport = transport_of(packet);
    if (packet->protocol == PROTOCOL_TCP && length >= IPV6_HEADER + TCP_HEADER) {
        size_t header = tcp_header_length(transport);
        packet->headers = IPV6_HEADER + header;
        return header >= TCP_HEADER && packet->headers <= length;
    }
    if (udp && packet->protocol == PROTOCOL_UDP && length >= IPV6_HEADER + UDP_HEADER) {
        packet->headers = IPV6_HEADER + UDP_HEADER;
        return get16(transport + UDP_LENGTH) == length - IPV6_HEADER;
    }
    return false;
}

/* Whether it carries data and nothing else: a connection's opening, end and urgent bytes go alone. */
static bool is_mergeable(const struct packet *packet)
{
    if (payload_of(packet) == 0) return false;
    if (packet->protocol == PROTOCOL_UDP) return get16(transport_of(packet) + UDP_CHECKSUM) != 0;
    return (transport_of(packet)[TCP_FLAGS] & (uint8_t)~TCP_PSH) == TCP_ACK;
}

/* A peer's word that it is one super-packet counts for nothing: headers, flags and checksum are looked at as for any. */
static bool is_whole_super(const struct writer *writer, const struct packet *packet)
{
    return writer->segment > packet->headers && packet->length > writer->segment &&
           packet->protocol == PROTOCOL_TCP && is_right(packet);
}

static void write_whole_super(struct writer *writer, const struct packet *packet)
{
    struct group group = {.first = *packet,
                          .payload = payload_of(packet),
                          .piece = writer->segment - packet->headers,
                          .packets = 1};
    group.pieces[2] = piece_of(packet->bytes + packet->headers, group.payload);
    write_super(writer, &group);
}

static struct group *group_of(struct writer *writer, const struct packet *packet)
{
    for (unsigned index = 0; index < writer->open; index++) {
        struct group *group = &writer->groups[index];
        if (group->packets > 0 && group->first.protocol == packet->protocol &&
            memcmp(group->first.bytes + IPV6_ADDRESSES, packet->bytes + IPV6_ADDRESSES, ADDRESSES_AND_PORTS) == 0) {
            return group;
        }
    }
    return NULL;
}

/* Equal but for what may differ between packets of one super-packet. */
static bool has_same_headers(const struct packet *one, const struct packet *other)
{
    const uint8_t *a = one->bytes;
    const uint8_t *b = other->bytes;
    /* Version, traffic class, flow label; next header and hop limit. The addresses are known to be equal. */
    if (one->headers != other->headers || memcmp(a, b, IPV6_LENGTH) != 0 || a[7] != b[7]) return false;
    if (one->protocol == PROTOCOL_UDP) return true;
    const uint8_t *tcp_a = transport_of(one);
    const uint8_t *tcp_b = transport_of(other);
    enum { ACKNOWLEDGEMENT = TCP_SEQUENCE + 4, WINDOW = TCP_FLAGS + 1, URGENT = TCP_CHECKSUM + 2 };
    return memcmp(tcp_a + ACKNOWLEDGEMENT, tcp_b + ACKNOWLEDGEMENT, TCP_FLAGS - ACKNOWLEDGEMENT) == 0 &&
           memcmp(tcp_a + WINDOW, tcp_b + WINDOW, TCP_CHECKSUM - WINDOW) == 0 &&
           memcmp(tcp_a + URGENT, tcp_b + URGENT, one->headers - IPV6_HEADER - URGENT) == 0;
}

static bool may_join(struct group *group, const struct packet *packet)
{
    const struct packet *first = &group->first;
    size_t payload = payload_of(packet);
    if (group->complete || payload > group->piece || group->packets == LONGEST_GROUP) return false;
    if (first->headers - IPV6_HEADER + group->payload + payload > IPV6_LONGEST_PAYLOAD) return false;
    if (!has_same_headers(first, packet)) return false;
    if (first->protocol == PROTOCOL_TCP) {
        uint32_t next = get32(transport_of(first) + TCP_SEQUENCE) + (uint32_t)group->payload;
        if (get32(transport_of(packet) + TCP_SEQUENCE) != next) return false;
    }
    if (!group->verified) group->verified = is_right(first);
    return group->verified && is_right(packet);
}

static void join(struct group *group, const struct packet *packet)
{
    size_t payload = payload_of(packet);
    bool push = packet->protocol == PROTOCOL_TCP && (transport_of(packet)[TCP_FLAGS] & TCP_PSH) != 0;
    group->pieces[2 + group->packets++] = piece_of(packet->bytes + packet->headers, payload);
    group->payload += payload;
    group->push = group->push || push;
    group->complete = push || payload < group->piece;
}

static void begin(struct writer *writer, struct group *group, const struct packet *packet)
{
    if (group == NULL) {
        if (writer->open < GROUPS) {
            group = &writer->groups[writer->open++];
        } else {
            group = &writer->groups[writer->oldest];
            writer->oldest = (writer->oldest + 1) % GROUPS;
            flush(writer, group);
        }
    }
    group->first = *packet;
    group->payload = 0;
    group->piece = payload_of(packet);
    group->packets = 0;
    group->verified = group->push = group->complete = false;
    join(group, packet);
}

static void take(struct writer *writer, const uint8_t *bytes, size_t length)
{
    struct packet packet;
    if (!take_apart(&packet, bytes, length, writer->udp)) {
        /* It may be a fragment, or have headers that hide its flow: nothing of any flow may overtake it. */
        flush_all(writer);
        write_alone(writer, &packet);
        return;
    }
    struct group *group = group_of(writer, &packet);
    bool mergeable = is_mergeable(&packet);
    if (group != NULL && mergeable && may_join(group, &packet)) {
        join(group, &packet);
        return;
    }
    if (group != NULL) flush(writer, group);
    if (mergeable && is_whole_super(writer, &packet)) write_whole_super(writer, &packet);
    else if (mergeable) begin(writer, group, &packet);
    else write_alone(writer, &packet);
}

size_t coalesce_write(struct packets *packets, const uint8_t *run, size_t length, size_t segment)
{
    struct writer writer;
    writer.fd = packets->fd;
    writer.udp = packets->offload == OFFLOAD_TCP_UDP;
    writer.counters = &packets->counters;
    writer.segment = segment;
    writer.written = (struct written){0};
    writer.open = writer.oldest = 0;

    size_t at = 0;
    size_t size;
    while ((size = packet_at(run + at, length - at)) > 0) {
        take(&writer, run + at, size);
        at += size;
    }
    flush_all(&writer);
    write_done(&writer.written, &packets->counters);
    return at;
}
