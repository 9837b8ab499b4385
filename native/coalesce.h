/*
 * Writing with offload: packets of one connection that follow each other go to the kernel as one super-packet, as its own
 * receive offload would make it.
 */
#ifndef GARLIGATE_COALESCE_H
#define GARLIGATE_COALESCE_H

#include "packets.h"

/*
 * As packets_write. Packets of one flow stay in order; those of different flows may change places within the run.
 *
 * `segment`: packets of TCP that are longer than this are super-packets, of packets that are so long; 0 for none.
 */
size_t coalesce_write(struct packets *packets, const uint8_t *run, size_t length, size_t segment);

#endif
