/*
 * Destinations to which super-packets of TCP go as they are, uncut. A table of fixed size that forgets: where two
 * destinations want the same place the later one has it, and what is sent to the other is cut as usual.
 */
#ifndef GARLIGATE_WHOLE_H
#define GARLIGATE_WHOLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WHOLE_PLACES = 256, WHOLE_ADDRESS = 16 };

struct whole_destination {
    uint8_t address[WHOLE_ADDRESS];
    size_t segment; /* bytes of each packet that a super-packet must stand for; 0: the place is free */
    size_t least;   /* a super-packet that is not longer than this is cut all the same */
};

/* Asked by whoever reads, changed by whoever knows about peers: on two threads. */
struct whole {
    pthread_mutex_t lock;
    struct whole_destination places[WHOLE_PLACES];
};

void whole_open(struct whole *whole);
void whole_close(struct whole *whole);

void whole_keep(struct whole *whole, const struct whole_destination *destination);
void whole_forget_all(struct whole *whole);

/* Whether a super-packet of `length` bytes to this address, of packets that are `segment` bytes long, stays whole. */
bool whole_is_kept(struct whole *whole, const uint8_t *address, size_t segment, size_t length);

#endif
