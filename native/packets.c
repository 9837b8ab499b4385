/*
 * Runs without offload, one system call for each packet; and the choice between that and the ways with offload. See
 * packets.h.
 */
#include "packets.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "coalesce.h"
#include "intake.h"
#include "ip.h"
#include "write.h"

void packets_count(struct counters *counters, enum counter which, uint64_t by)
{
    atomic_fetch_add_explicit(&counters->of[which], by, memory_order_relaxed);
}

bool packets_open(struct packets *packets, int fd, enum offload offload)
{
    packets->fd = fd;
    packets->offload = offload;
    packets->intake = NULL;
    if (offload == OFFLOAD_NONE) return true;
    packets->intake = intake_new();
    return packets->intake != NULL;
}

void packets_close(struct packets *packets)
{
    intake_free(packets->intake);
    packets->intake = NULL;
}

bool slab_has_room(const struct slab *slab)
{
    return slab->size - slab->used >= PACKETS_ROOM && slab->row_count < slab->most_rows;
}

/* Each packet is read where it is to stand, and overwritten by the next one when it is none. */
static enum burst read_plain(struct packets *packets, struct slab *slab, struct progress *progress)
{
    while (slab_has_room(slab)) {
        uint8_t *packet = slab->bytes + slab->used;
        ssize_t got = read(packets->fd, packet, PACKETS_ROOM);
        if (got < 0) {
            if (errno == EINTR) continue;
            return errno == EAGAIN ? BURST_EMPTIED : BURST_FAILED;
        }
        progress->reads++;
        if (!intake_is_packet(packet, (size_t)got, &packets->counters)) continue;
        slab->used += (size_t)got;
        slab->rows[slab->row_count++] = (struct row){.bytes = (uint32_t)got, .packets = 1};
        progress->packets++;
    }
    return BURST_FULL;
}

enum burst packets_read(struct packets *packets, struct slab *slab)
{
    struct progress progress = {0};
    size_t before = slab->used;
    enum burst end = packets->intake == NULL
                         ? read_plain(packets, slab, &progress)
                         : intake_read(packets->intake, packets->fd, &packets->counters, slab, &progress);
    int error = errno;
    if (progress.packets > 0) {
        packets_count(&packets->counters, COUNT_READ_PACKETS, progress.packets);
        packets_count(&packets->counters, COUNT_READ_BYTES, slab->used - before);
    }
    if (progress.reads > 0) packets_count(&packets->counters, COUNT_READS, progress.reads);
    errno = error;
    return end;
}

static size_t write_plain(struct packets *packets, const uint8_t *run, size_t length)
{
    size_t at = 0;
    size_t size;
    struct written written = {0};
    while ((size = packet_at(run + at, length - at)) > 0) {
        const struct iovec piece = {.iov_base = (void *)(uintptr_t)(run + at), .iov_len = size};
        write_pieces(packets->fd, &piece, 1, 1, size, &written, &packets->counters);
        at += size;
    }
    write_done(&written, &packets->counters);
    return at;
}

size_t packets_write(struct packets *packets, const uint8_t *run, size_t length, size_t segment)
{
    if (packets->offload == OFFLOAD_NONE) return write_plain(packets, run, length);
    return coalesce_write(packets, run, length, segment);
}
