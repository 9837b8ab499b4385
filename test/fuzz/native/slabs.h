/*
 * What must stand in a slab for what a TUN has handed over: in order, each piece as one row of the packets that it stands
 * for, and nothing left out but what no kernel hands over, or what no slab holds.
 */
#ifndef GARLIGATE_FUZZ_SLABS_H
#define GARLIGATE_FUZZ_SLABS_H

#include "packets.h"
#include "whole.h"

/* Super-packets that fit `kept` may stay whole; NULL: none do. */
void slabs_begin(const struct packets *packets, const struct whole_destination *kept);

/* Looks at what a slab was given since it was as `before`. */
void slabs_see(const struct slab *before, const struct slab *slab, enum burst end);

/* Whether nothing that was handed over is missing still. */
bool slabs_hold_all(void);

/* Whether the counters say what has happened. */
void slabs_count(void);

#endif
