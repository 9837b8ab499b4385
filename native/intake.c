/*
 * See intake.h.
 */
#include "intake.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "ip.h"
#include "segment.h"

struct intake {
    struct whole whole;
    struct virtio_net_hdr header;
    size_t held; /* bytes in `piece` that are in no run yet */
    uint8_t piece[PACKETS_ROOM];
};

struct intake *intake_new(void)
{
    struct intake *intake = calloc(1, sizeof(struct intake));
    if (intake != NULL) whole_open(&intake->whole);
    return intake;
}

void intake_free(struct intake *intake)
{
    if (intake != NULL) whole_close(&intake->whole);
    free(intake);
}

struct whole *intake_whole(struct intake *intake)
{
    return &intake->whole;
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

/* Appends what is held, as one row. */
static enum cut pass(struct intake *intake, struct slab *slab, struct progress *progress)
{
    const struct virtio_net_hdr *header = &intake->header;
    size_t segment = segment_length(header, intake->piece, intake->held);
    bool stays =
        segment > 0 && whole_is_kept(&intake->whole, intake->piece + IPV6_DESTINATION, segment, intake->held);
    size_t bytes = 0;
    uint64_t packets = 0;
    enum cut cut = (stays ? segment_complete : segment_cut)(header, intake->piece, intake->held, slab->bytes + slab->used,
                                                           slab->size - slab->used, &bytes, &packets);
    if (cut != CUT_DONE) return cut;
    slab->used += bytes;
    slab->rows[slab->row_count++] = (struct row){.bytes = (uint32_t)bytes, .packets = (uint32_t)packets};
    progress->packets += packets;
    return cut;
}

enum burst intake_read(struct intake *intake, int fd, struct counters *counters, struct slab *slab,
                       struct progress *progress)
{
    for (;;) {
        if (intake->held == 0) {
            if (!slab_has_room(slab)) return BURST_FULL;
            enum burst end = read_piece(intake, fd, counters, progress);
            if (end != BURST_FULL) return end;
        }
        if (slab->row_count == slab->most_rows) return BURST_FULL;
        enum cut cut = pass(intake, slab, progress);
        /* Pieces so small that not even an empty slab holds them belong to no connection that works. */
        if (cut == CUT_NO_ROOM && slab->used > 0) return BURST_FULL;
        if (cut != CUT_DONE) packets_count(counters, COUNT_READ_BAD_OFFLOAD, 1);
        intake->held = 0;
    }
}
