/*
 * Packets made by choice: nearly right ones, since others get no further than the first check.
 */
#ifndef GARLIGATE_FUZZ_MAKE_H
#define GARLIGATE_FUZZ_MAKE_H

#include "choices.h"

enum { MAKE_LONGEST = 40 + 65535, MAKE_FLOWS = 12 };

/* How far the connections have come that packets are made for. */
struct making {
    struct choices *choices;
    bool large; /* as a kernel hands them over uncut */
    uint32_t sequence[MAKE_FLOWS];
    uint8_t offset[MAKE_FLOWS]; /* what TCP headers say of their length, in place of the truth; 0: the truth */
};

/* The next packet of a flow as a peer may send it: whole by its IPv6 header, whatever the rest says. Needs room for
 * MAKE_LONGEST bytes; returns the length. */
size_t make_packet(struct making *making, uint32_t flow, uint8_t *to);

/* Several of them back to back, and now and then what is no packet at the end, in memory of exactly its size, for the
 * caller to free. */
uint8_t *make_run(struct choices *choices, size_t *length);

#endif
