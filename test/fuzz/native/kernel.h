/*
 * What a TUN hands over, made by choice, in place of read(2) and readv(2).
 */
#ifndef GARLIGATE_FUZZ_KERNEL_H
#define GARLIGATE_FUZZ_KERNEL_H

#include "choices.h"
#include "make.h"
#include "packets.h"

struct piece {
    struct virtio_net_hdr header;
    size_t length;
    bool sound; /* as a kernel hands it over */
    uint8_t packet[MAKE_LONGEST + 64];
};

void kernel_begin(struct choices *choices, enum offload offload);

/* Those that were handed over and are IPv6 packets by their header, in order; NULL behind the last one. */
const struct piece *kernel_piece(size_t index);

bool kernel_has_more(void);

/* What has to be counted of reading and of what is no packet. */
uint64_t kernel_counted(enum counter which);

#endif
