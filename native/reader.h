/*
 * Hands packets over from a TUN descriptor, in slabs of memory that are lent out. Who reads depends on the load, as in a
 * network driver: while there is nothing to do a thread waits, reads what comes and notifies; from then on the borrower
 * reads for itself each time it claims, until a claim finds nothing. When the borrower is busy for too long, the thread
 * reads on into the other slab, so that the queue of the kernel does not overflow. Knows nothing of JavaScript.
 */
#ifndef GARLIGATE_READER_H
#define GARLIGATE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"
#include "packets.h"

#define READER_SLABS 2

struct reader;

struct reader_notify {
    void *context;
    /* Packets can be claimed. Not repeated before a claim has found nothing. */
    void (*ready)(void *context);
    /* The device is gone, the thread is about to end. Called at most once. */
    void (*lost)(void *context, int error);
};

/* Starts the thread. Packets and slabs are borrowed until `reader_stop` returns. Both notifications come from the
 * thread. */
struct reader *reader_start(struct packets *packets, const struct slab slabs[READER_SLABS],
                            const struct reader_notify *notify, struct failure *failure);

/*
 * Borrows a slab with all the packets that can be had now, as far as it holds them. Without any
 * NULL is returned, nothing is borrowed, and the thread waits for the next ones.
 */
const struct slab *reader_claim(struct reader *reader, unsigned *slab);

void reader_release(struct reader *reader, unsigned slab);

/* Ends the thread, waits for it, frees the reader. No notification comes afterwards. */
void reader_stop(struct reader *reader);

#endif
