/*
 * See whole.h.
 */
#include "whole.h"

#include <string.h>

static struct whole_destination *place_of(struct whole *whole, const uint8_t *address)
{
    uint64_t end;
    /* The end of an address is what tells hosts apart; a multiplier that spreads (Knuth, vol. 3, 6.4) does the rest. */
    memcpy(&end, address + WHOLE_ADDRESS - sizeof end, sizeof end);
    return &whole->places[(end * 0x9e3779b97f4a7c15ULL) >> 56];
}

void whole_open(struct whole *whole)
{
    memset(whole->places, 0, sizeof whole->places);
    pthread_mutex_init(&whole->lock, NULL);
}

void whole_close(struct whole *whole)
{
    pthread_mutex_destroy(&whole->lock);
}

void whole_keep(struct whole *whole, const struct whole_destination *destination)
{
    pthread_mutex_lock(&whole->lock);
    *place_of(whole, destination->address) = *destination;
    pthread_mutex_unlock(&whole->lock);
}

void whole_forget_all(struct whole *whole)
{
    pthread_mutex_lock(&whole->lock);
    memset(whole->places, 0, sizeof whole->places);
    pthread_mutex_unlock(&whole->lock);
}

bool whole_is_kept(struct whole *whole, const uint8_t *address, size_t segment, size_t length)
{
    pthread_mutex_lock(&whole->lock);
    const struct whole_destination *place = place_of(whole, address);
    bool kept = place->segment == segment && segment > 0 && length > place->least &&
                memcmp(place->address, address, WHOLE_ADDRESS) == 0;
    pthread_mutex_unlock(&whole->lock);
    return kept;
}
