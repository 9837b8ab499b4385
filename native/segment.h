/*
 * What the kernel hands over with its offloads on: packets whose checksum is still to be done, and super-packets that stand
 * for many. Makes complete packets of them. Pure: memory in, memory out.
 *
 * The layout is that of struct virtio_net_hdr, in the byte order of this machine (a TUN's default).
 */
#ifndef GARLIGATE_SEGMENT_H
#define GARLIGATE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "offload.h"

enum cut {
    CUT_DONE,
    CUT_NO_ROOM,  /* nothing was written */
    CUT_MALFORMED /* not what a kernel hands over; nothing was written */
};

/*
 * The length of the packets that a super-packet of TCP stands for, all but the last; 0 for everything that says more than
 * data and acknowledgement, and so cannot be told from its bytes alone: other flags, other protocols, header extensions.
 */
size_t segment_length(const struct virtio_net_hdr *header, const uint8_t *packet, size_t length);

/* Writes the super-packet as one long packet with its own length and checksum. */
enum cut segment_complete(const struct virtio_net_hdr *header, const uint8_t *packet, size_t length, uint8_t *to,
                          size_t room, size_t *written, uint64_t *packets);

/*
 * Writes the packets that `packet` stands for to `to`, back to back, each with its own lengths and checksum, and adds them
 * to `*written` (bytes) and `*packets`. Lengths inside the header are not believed: they are taken from the packet.
 */
enum cut segment_cut(const struct virtio_net_hdr *header, const uint8_t *packet, size_t length, uint8_t *to, size_t room,
                     size_t *written, uint64_t *packets);

#endif
