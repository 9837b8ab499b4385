/*
 * Checksums done and super-packets cut, in one pass over the bytes. See segment.h.
 */
#include "segment.h"

#include <string.h>

#include "checksum.h"
#include "ip.h"

/* A super-packet taken apart. */
struct super {
    const uint8_t *packet;
    size_t transport;    /* where the TCP or UDP header begins */
    size_t headers;      /* where the payload begins */
    size_t length;       /* of all */
    size_t piece;        /* payload of each packet but the last */
    uint8_t protocol;
    size_t checksum;     /* the field's place in the transport header */
};

/* Headers, lengths and flags of the piece at `at`; returns its size. */
static size_t write_piece(const struct super *super, size_t at, uint8_t *to)
{
    size_t payload = super->length - at < super->piece ? super->length - at : super->piece;
    uint8_t *transport = to + super->transport;
    memcpy(to, super->packet, super->headers);
    put16(to + IPV6_LENGTH, super->headers + payload - IPV6_HEADER);
    if (super->protocol == PROTOCOL_UDP) {
        put16(transport + UDP_LENGTH, UDP_HEADER + payload);
    } else {
        size_t offset = at - super->headers;
        put32(transport + TCP_SEQUENCE, get32(transport + TCP_SEQUENCE) + (uint32_t)offset);
        if (at + payload < super->length) transport[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
        /* "Congestion window reduced" is said once. */
        if (offset > 0) transport[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
    }
    put16(transport + super->checksum, 0);

    size_t header = super->headers - super->transport;
    uint64_t sum = checksum_pseudo(to + IPV6_ADDRESSES, header + payload, super->protocol);
    sum = checksum_add(sum, transport, header);
    sum = checksum_copy(sum, to + super->headers, super->packet + at, payload);
    put_checksum(transport + super->checksum, checksum_final(sum));
    return super->headers + payload;
}

static bool take_apart(struct super *super, const struct virtio_net_hdr *header, const uint8_t *packet, size_t length)
{
    unsigned type = header->gso_type & (unsigned)~VIRTIO_NET_HDR_GSO_ECN;
    *super = (struct super){
        .packet = packet, .length = length, .transport = header->csum_start, .piece = header->gso_size};
    if (super->transport < IPV6_HEADER || super->piece == 0) return false;
    if (type == VIRTIO_NET_HDR_GSO_TCPV6) {
        if (super->transport + TCP_HEADER > length) return false;
        size_t tcp = tcp_header_length(packet + super->transport);
        if (tcp < TCP_HEADER) return false;
        super->headers = super->transport + tcp;
        super->protocol = PROTOCOL_TCP;
        super->checksum = TCP_CHECKSUM;
    } else if (type == VIRTIO_NET_HDR_GSO_UDP_L4) {
        super->headers = super->transport + UDP_HEADER;
        super->protocol = PROTOCOL_UDP;
        super->checksum = UDP_CHECKSUM;
    } else {
        return false;
    }
    return super->headers < length;
}

static enum cut cut_super(const struct super *super, uint8_t *to, size_t room, size_t *written, uint64_t *packets)
{
    size_t payload = super->length - super->headers;
    size_t pieces = (payload + super->piece - 1) / super->piece;
    if (payload + pieces * super->headers > room) return CUT_NO_ROOM;
    for (size_t at = super->headers; at < super->length; at += super->piece) {
        size_t size = write_piece(super, at, to);
        to += size;
        *written += size;
    }
    *packets += pieces;
    return CUT_DONE;
}

/* One packet. Until its checksum is done, the field holds the sum of the pseudo-header. */
static enum cut copy_one(const struct virtio_net_hdr *header, const uint8_t *packet, size_t length, uint8_t *to,
                         size_t room, size_t *written, uint64_t *packets)
{
    if (length > room) return CUT_NO_ROOM;
    size_t start = header->csum_start;
    size_t field = start + header->csum_offset;
    if ((header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) {
        if (start < IPV6_HEADER || field + 2 > length) return CUT_MALFORMED;
        memcpy(to, packet, start);
        uint64_t sum = checksum_copy(0, to + start, packet + start, length - start);
        put_checksum(to + field, checksum_final(sum));
    } else {
        memcpy(to, packet, length);
    }
    *written += length;
    *packets += 1;
    return CUT_DONE;
}

size_t segment_length(const struct virtio_net_hdr *header, const uint8_t *packet, size_t length)
{
    struct super super;
    if (header->gso_type != VIRTIO_NET_HDR_GSO_TCPV6 || !take_apart(&super, header, packet, length)) return 0;
    const uint8_t *tcp = packet + super.transport;
    bool is_plain = super.transport == IPV6_HEADER && packet[IPV6_NEXT_HEADER] == PROTOCOL_TCP &&
                    (tcp[TCP_FLAGS] & (uint8_t)~TCP_PSH) == TCP_ACK;
    return is_plain ? super.headers + super.piece : 0;
}

enum cut segment_complete(const struct virtio_net_hdr *header, const uint8_t *packet, size_t length, uint8_t *to,
                          size_t room, size_t *written, uint64_t *packets)
{
    struct super super;
    if (!take_apart(&super, header, packet, length)) return CUT_MALFORMED;
    super.piece = length - super.headers;
    return cut_super(&super, to, room, written, packets);
}

enum cut segment_cut(const struct virtio_net_hdr *header, const uint8_t *packet, size_t length, uint8_t *to, size_t room,
                     size_t *written, uint64_t *packets)
{
    struct super super;
    if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE) return copy_one(header, packet, length, to, room, written, packets);
    if (!take_apart(&super, header, packet, length)) return CUT_MALFORMED;
    return cut_super(&super, to, room, written, packets);
}
