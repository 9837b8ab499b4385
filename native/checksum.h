/*
 * The Internet checksum (RFC 1071), over memory and while copying it. Sums are of 16-bit words in the byte order of this
 * machine, which the one's complement allows; they are folded once, at the end.
 */
#ifndef GARLIGATE_CHECKSUM_H
#define GARLIGATE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Every piece but the last must have an even length. */
uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t length);

/* The same, and a copy in the same pass. */
uint64_t checksum_copy(uint64_t sum, uint8_t *to, const uint8_t *from, size_t length);

/* The pseudo-header of RFC 8200 section 8.1. `addresses`: source and destination, 32 bytes; `length`: of the upper-layer
 * packet, at most 65,535. */
uint64_t checksum_pseudo(const uint8_t *addresses, size_t length, uint8_t protocol);

/* To 16 bits, in the order in which it is stored; 0xffff or 0 when what was summed holds a right checksum. */
uint16_t checksum_fold(uint64_t sum);

/* What belongs into a checksum field; never 0, which means "none" to UDP and is the same number to TCP. */
uint16_t checksum_final(uint64_t sum);

#endif
