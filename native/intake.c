/*
 * See intake.h.
 */
#include "intake.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "ip.h"
#include "segment.h"

enum { ADDRESS = 16 };

struct intake {
    struct virtio_net_hdr header;
    size_t held; /* bytes in `piece` that are in no run yet */
    uint8_t piece[PACKETS_ROOM];

    pthread_mutex_t lock; /* guards the two below */
    uint8_t *whole;       /* sorted addresses */
    size_t whole_count;
};

struct intake *intake_new(void)
{
    struct intake *intake = calloc(1, sizeof *intake);
    if (intake != NULL) pthread_mutex_init(&intake->lock, NULL);
    return intake;
}

void intake_free(struct intake *intake)
{
    if (intake == NULL) return;
    pthread_mutex_destroy(&intake->lock);
    free(intake->whole);
    free(intake);
}

static int compare_addresses(const void *one, const void *other)
{
    return memcmp(one, other, ADDRESS);
}

bool intake_leave_whole(struct intake *intake, const uint8_t *destinations, size_t count)
{
    if (count > PACKETS_WHOLE) return false;
    uint8_t *sorted = malloc(count * ADDRESS + 1);
    if (sorted == NULL) return false;
    memcpy(sorted, destinations, count * ADDRESS);
    qsort(sorted, count, ADDRESS, compare_addresses);

    pthread_mutex_lock(&intake->lock);
    uint8_t *before = intake->whole;
    intake->whole = sorted;
    intake->whole_count = count;
    pthread_mutex_unlock(&intake->lock);
    free(before);
    return true;
}

static bool stays_whole(struct intake *intake)
{
    if (intake->header.gso_type == VIRTIO_NET_HDR_GSO_NONE) return false;
    pthread_mutex_lock(&intake->lock);
    bool found = intake->whole_count > 0 && bsearch(intake->piece + IPV6_DESTINATION, intake->whole,
                                                    intake->whole_count, ADDRESS, compare_addresses) != NULL;
    pthread_mutex_unlock(&intake->lock);
    return found;
}

bool intake_is_packet(const uint8_t *bytes, size_t length, struct counters *counters)
{
    if (length < 1 || ipv6_version(bytes) != 6) packets_count(counters, COUNT_READ_NOT_IPV6, 1);
    else if (length < IPV6_HEADER || length != ipv6_length(bytes)) packets_count(counters, COUNT_READ_BAD_LENGTH, 1);
    else return true;
    return false;
}

/* Leaves the next packet or super-packet in `piece`. */
static enum burst read_piece(struct intake *intake, int fd, struct counters *counters, struct progress *progress)
{
    const struct iovec into[2] = {{.iov_base = &intake->header, .iov_len = sizeof intake->header},
                                  {.iov_base = intake->piece, .iov_len = sizeof intake->piece}};
    while (intake->held == 0) {
        ssize_t got = readv(fd, into, 2);
        if (got < 0) {
            if (errno == EINTR) continue;
            return errno == EAGAIN ? BURST_EMPTIED : BURST_FAILED;
        }
        progress->reads++;
        size_t length = (size_t)got < sizeof intake->header ? 0 : (size_t)got - sizeof intake->header;
        if (intake_is_packet(intake->piece, length, counters)) intake->held = length;
    }
    return BURST_FULL;
}

enum burst intake_read(struct intake *intake, int fd, struct counters *counters, uint8_t *slab, size_t size,
                       struct progress *progress)
{
    for (;;) {
        if (intake->held == 0) {
            if (size - progress->used < PACKETS_ROOM) return BURST_FULL;
            enum burst end = read_piece(intake, fd, counters, progress);
            if (end != BURST_FULL) return end;
        }
        enum cut cut = segment_cut(&intake->header, intake->piece, intake->held, stays_whole(intake),
                                   slab + progress->used, size - progress->used, &progress->used, &progress->packets);
        /* Pieces so small that not even an empty slab holds them belong to no connection that works. */
        if (cut == CUT_NO_ROOM && progress->used > 0) return BURST_FULL;
        if (cut != CUT_DONE) packets_count(counters, COUNT_READ_BAD_OFFLOAD, 1);
        intake->held = 0;
    }
}
