/*
 * See opinion.h.
 */
#include "opinion.h"

#include <string.h>

enum { TCP = 6, UDP = 17, GSO_UDP_L4 = 5 };

static uint32_t word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

static uint32_t plus(uint32_t sum, uint32_t more)
{
    sum += more;
    return (sum & 0xffff) + (sum >> 16);
}

static uint32_t pseudo(const uint8_t *packet, size_t length, uint8_t protocol)
{
    uint32_t sum = plus((uint32_t)(length & 0xffff), protocol);
    for (size_t at = 8; at < 40; at += 2) sum = plus(sum, word(packet + at));
    return sum;
}

uint16_t opinion_pseudo(const uint8_t *packet, size_t length, uint8_t protocol)
{
    return (uint16_t)pseudo(packet, length, protocol);
}

uint16_t opinion_checksum(const uint8_t *packet, size_t length, size_t transport, uint8_t protocol)
{
    uint32_t sum = pseudo(packet, length - transport, protocol);
    size_t at = transport;
    for (; at + 2 <= length; at += 2) sum = plus(sum, word(packet + at));
    if (at < length) sum = plus(sum, (uint32_t)packet[at] << 8);
    return (uint16_t)~sum;
}

bool opinion_same(const uint8_t *one, const uint8_t *other, size_t length, size_t field)
{
    uint32_t a = word(one + field);
    uint32_t b = word(other + field);
    bool same_checksum = a == b || ((a == 0 || a == 0xffff) && (b == 0 || b == 0xffff));
    return same_checksum && memcmp(one, other, field) == 0 &&
           memcmp(one + field + 2, other + field + 2, length - field - 2) == 0;
}

bool opinion_super(const struct virtio_net_hdr *header, const uint8_t *packet, size_t length,
                   struct opinion_super *super)
{
    uint8_t type = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    bool tcp = type == VIRTIO_NET_HDR_GSO_TCPV6;
    if ((!tcp && type != GSO_UDP_L4) || header->gso_size == 0 || header->csum_start < 40) return false;
    *super = (struct opinion_super){.protocol = tcp ? TCP : UDP,
                                    .transport = header->csum_start,
                                    .piece = header->gso_size,
                                    .length = length};
    if (super->transport + (tcp ? 20 : 8) > length) return false;
    size_t size = tcp ? (size_t)(packet[super->transport + 12] >> 4) * 4 : 8;
    super->headers = super->transport + size;
    super->field = super->transport + (tcp ? 16 : 6);
    return size >= (tcp ? 20 : 8) && super->headers < length;
}

size_t opinion_segment(const struct opinion_super *super, const uint8_t *packet, size_t at, size_t piece, uint8_t *to)
{
    size_t left = super->length - super->headers - at;
    size_t payload = left < piece ? left : piece;
    size_t length = super->headers + payload;
    uint8_t *transport = to + super->transport;
    memcpy(to, packet, super->headers);
    memcpy(to + super->headers, packet + super->headers + at, payload);
    put_word(to + 4, length - 40);
    if (super->protocol == UDP) {
        put_word(transport + 4, 8 + payload);
    } else {
        uint32_t sequence = (word(transport + 4) << 16 | word(transport + 6)) + (uint32_t)at;
        put_word(transport + 4, sequence >> 16);
        put_word(transport + 6, sequence & 0xffff);
        if (payload < left) transport[13] &= (uint8_t)~0x09; /* FIN and PSH belong to the last */
        if (at > 0) transport[13] &= (uint8_t)~0x80;         /* CWR to the first */
    }
    put_word(to + super->field, 0);
    put_word(to + super->field, opinion_checksum(to, length, super->transport, super->protocol));
    return length;
}
