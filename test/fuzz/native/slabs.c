/*
 * See slabs.h.
 */
#include "slabs.h"

#include <string.h>

#include "kernel.h"
#include "opinion.h"
#include "scenario.h"

enum { IPV6 = 40, TCP = 6 };

static struct {
    const struct packets *packets;
    const struct whole_destination *kept;
    size_t seen; /* pieces */
    uint64_t counted[COUNTERS];
} now;

/* A packet whose checksum is done here, or was. */
static bool is_single(const struct piece *piece, const uint8_t *bytes, const struct row *row)
{
    size_t start = piece->header.csum_start;
    size_t field = start + piece->header.csum_offset;
    if (row->packets != 1 || row->bytes != piece->length) return false;
    if ((piece->header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0) return memcmp(bytes, piece->packet, row->bytes) == 0;
    if (start < IPV6 || field + 2 > piece->length) return false;
    uint32_t sum = 0;
    for (size_t at = start; at < piece->length; at++) {
        sum += (at - start) % 2 == 0 ? (uint32_t)piece->packet[at] << 8 : piece->packet[at];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    static uint8_t done[MAKE_LONGEST + 64];
    memcpy(done, piece->packet, piece->length);
    put_word(done + field, ~sum);
    return opinion_same(done, bytes, piece->length, field);
}

/* The packets that a super-packet stands for, of at most `size` bytes of payload. */
static bool is_cut(const struct piece *piece, const struct opinion_super *super, size_t size, const uint8_t *bytes,
                   const struct row *row)
{
    static uint8_t one[MAKE_LONGEST + 64];
    size_t used = 0;
    uint32_t packets = 0;
    for (size_t at = 0; at < super->length - super->headers; at += size) {
        size_t length = opinion_segment(super, piece->packet, at, size, one);
        if (length > row->bytes - used || !opinion_same(one, bytes + used, length, super->field)) return false;
        used += length;
        packets++;
    }
    return used == row->bytes && packets == row->packets;
}

/* Only what its bytes alone tell: data and an acknowledgement, to whoever takes packets of this length so. */
static bool may_stay_whole(const struct piece *piece, const struct opinion_super *super)
{
    uint8_t flags = piece->packet[super->transport + 13];
    return now.kept != NULL && super->protocol == TCP && super->transport == IPV6 && (flags == 0x10 || flags == 0x18) && super->headers + super->piece == now.kept->segment &&
           piece->length > now.kept->least && memcmp(piece->packet + 24, now.kept->address, WHOLE_ADDRESS) == 0;
}

static bool fits(const struct piece *piece, const uint8_t *bytes, const struct row *row)
{
    struct opinion_super super;
    if (piece->header.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
        if (!is_single(piece, bytes, row)) return false;
        reach(REACH_COMPLETED);
        return true;
    }
    if (!opinion_super(&piece->header, piece->packet, piece->length, &super)) return false;
    if (is_cut(piece, &super, super.piece, bytes, row)) {
        reach(REACH_CUT);
        return true;
    }
    if (!may_stay_whole(piece, &super) || !is_cut(piece, &super, super.length, bytes, row)) return false;
    reach(REACH_UNCUT);
    return true;
}

/* Whether a piece that was handed over may come to nothing. */
static bool may_be_dropped(const struct piece *piece, const struct slab *slab)
{
    struct opinion_super super;
    if (!piece->sound) return true;
    if (!opinion_super(&piece->header, piece->packet, piece->length, &super)) return false;
    size_t payload = super.length - super.headers;
    return payload + (payload + super.piece - 1) / super.piece * super.headers > slab->size;
}

static void drop(const struct piece *piece, const struct slab *slab)
{
    if (!may_be_dropped(piece, slab)) {
        const struct virtio_net_hdr *header = &piece->header;
        broken("a piece of %zu bytes was left out: type %u, size %u, checksum at %u + %u", piece->length,
               header->gso_type, header->gso_size, header->csum_start, header->csum_offset);
    }
    now.counted[COUNT_READ_BAD_OFFLOAD]++;
    reach(piece->sound ? REACH_NO_ROOM : REACH_MALFORMED);
}

void slabs_begin(const struct packets *packets, const struct whole_destination *kept)
{
    now.packets = packets;
    now.kept = kept;
    now.seen = 0;
    memset(now.counted, 0, sizeof now.counted);
}

/* The piece that the row is; all before it came to nothing. */
static void see_row(const struct slab *slab, const uint8_t *bytes, const struct row *row)
{
    const struct piece *piece;
    while ((piece = kernel_piece(now.seen)) != NULL && !fits(piece, bytes, row)) {
        drop(piece, slab);
        now.seen++;
    }
    if (piece == NULL) broken("a row of %u bytes is nothing that was handed over", row->bytes);
    now.seen++;
    now.counted[COUNT_READ_PACKETS] += row->packets;
    now.counted[COUNT_READ_BYTES] += row->bytes;
}

void slabs_see(const struct slab *before, const struct slab *slab, enum burst end)
{
    size_t at = before->used;
    if (slab->used > slab->size || slab->row_count > slab->most_rows) broken("more in a slab than there is room for");
    for (size_t index = before->row_count; index < slab->row_count; index++) {
        const struct row *row = &slab->rows[index];
        if (row->bytes > slab->used - at) broken("rows are longer than what stands in the slab");
        see_row(slab, slab->bytes + at, row);
        at += row->bytes;
    }
    if (at != slab->used) broken("rows are shorter than what stands in the slab");
    /* One may be held for the next slab. */
    size_t held = end == BURST_FULL ? 1 : 0;
    for (; kernel_piece(now.seen + held) != NULL; now.seen++) drop(kernel_piece(now.seen), slab);
}

bool slabs_hold_all(void)
{
    return kernel_piece(now.seen) == NULL;
}

void slabs_count(void)
{
    static const enum counter counters[] = {COUNT_READS,         COUNT_READ_PACKETS,    COUNT_READ_BYTES,
                                            COUNT_READ_NOT_IPV6, COUNT_READ_BAD_LENGTH, COUNT_READ_BAD_OFFLOAD};
    for (size_t at = 0; at < sizeof counters / sizeof counters[0]; at++) {
        uint64_t is = now.packets->counters.of[counters[at]];
        uint64_t wanted = now.counted[counters[at]] + kernel_counted(counters[at]);
        if (is != wanted) broken("counter %zu is %llu", at, (unsigned long long)is);
    }
}
