/*
 * Where things stand in the headers of IPv6, TCP and UDP (RFC 8200, RFC 9293, RFC 768).
 */
#ifndef GARLIGATE_IP_H
#define GARLIGATE_IP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    IPV6_HEADER = 40,
    IPV6_LENGTH = 4,
    IPV6_NEXT_HEADER = 6,
    IPV6_ADDRESSES = 8,
    IPV6_DESTINATION = 24,
    /* The largest payload that the 16-bit length can say. */
    IPV6_LONGEST_PAYLOAD = 65535
};

enum {
    PROTOCOL_TCP = 6,
    TCP_HEADER = 20,
    TCP_LONGEST_HEADER = 60,
    TCP_SEQUENCE = 4,
    TCP_OFFSET = 12,
    TCP_FLAGS = 13,
    TCP_CHECKSUM = 16,
    TCP_FIN = 0x01,
    TCP_PSH = 0x08,
    TCP_ACK = 0x10,
    TCP_CWR = 0x80
};

enum { PROTOCOL_UDP = 17, UDP_HEADER = 8, UDP_LENGTH = 4, UDP_CHECKSUM = 6 };

static inline uint16_t get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline void put16(uint8_t *bytes, size_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline uint32_t get32(const uint8_t *bytes)
{
    return (uint32_t)get16(bytes) << 16 | get16(bytes + 2);
}

static inline void put32(uint8_t *bytes, uint32_t value)
{
    put16(bytes, value >> 16);
    put16(bytes + 2, value & 0xffff);
}

/* A checksum is kept in the order in which it is stored. */
static inline void put_checksum(uint8_t *field, uint16_t checksum)
{
    memcpy(field, &checksum, sizeof checksum);
}

static inline unsigned ipv6_version(const uint8_t *packet)
{
    return packet[0] >> 4;
}

/* Header and payload, as the header says. */
static inline size_t ipv6_length(const uint8_t *packet)
{
    return IPV6_HEADER + (size_t)get16(packet + IPV6_LENGTH);
}

static inline size_t tcp_header_length(const uint8_t *tcp)
{
    return (size_t)(tcp[TCP_OFFSET] >> 4) * 4;
}

#endif
