/*
 * A second opinion about packets, slow and plain: what a kernel makes of what it is given, by RFC 8200, 9293, 768 and
 * linux/virtio_net.h. Shares no code with what is tested.
 */
#ifndef GARLIGATE_FUZZ_OPINION_H
#define GARLIGATE_FUZZ_OPINION_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void put_word(uint8_t *bytes, size_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

/* The Internet checksum over the pseudo-header and all behind `transport`, as it belongs into the field, if the field
 * holds 0; 0 if the field holds a right one. */
uint16_t opinion_checksum(const uint8_t *packet, size_t length, size_t transport, uint8_t protocol);

/* What stands in the field of a packet whose checksum is still to be done: the sum of the pseudo-header. */
uint16_t opinion_pseudo(const uint8_t *packet, size_t length, uint8_t protocol);

/* Equal, but for the two ways to write the checksum 0 at `field`. */
bool opinion_same(const uint8_t *one, const uint8_t *other, size_t length, size_t field);

struct opinion_super {
    uint8_t protocol;
    size_t transport;
    size_t headers;
    size_t field; /* of the checksum */
    size_t piece;
    size_t length;
};

/* Takes header and packet apart; false where a kernel would refuse them as a super-packet. */
bool opinion_super(const struct virtio_net_hdr *header, const uint8_t *packet, size_t length,
                   struct opinion_super *super);

/* Makes the packet at `at` of the payload of the super-packet, of at most `piece` bytes of it. Returns its length. */
size_t opinion_segment(const struct opinion_super *super, const uint8_t *packet, size_t at, size_t piece, uint8_t *to);

#endif
