/*
 * What a TUN hands over, read into slabs, and each slab written to a TUN again: what was cut is joined, and neither changes
 * a packet.
 */
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "intake.h"
#include "kernel.h"
#include "scenario.h"
#include "slabs.h"

enum { MOST_ROWS = 4096, SLABS = 2 };

/* Made once: each is as large as it says, with nothing that may be touched around it. */
static struct slab slabs[SLABS] = {{.size = (size_t)4 * PACKETS_ROOM}, {.size = (size_t)8 * PACKETS_ROOM}};

static struct slab *choose_slab(struct choices *choices, struct row **rows)
{
    struct slab *slab = &slabs[choose(choices, SLABS)];
    if (slab->bytes == NULL) slab->bytes = malloc(slab->size);
    slab->most_rows = rarely(choices, 4) ? choose(choices, 4) : MOST_ROWS;
    slab->used = slab->row_count = 0;
    slab->rows = *rows = malloc(slab->most_rows * sizeof(struct row));
    if (slab->bytes == NULL || *rows == NULL) abort();
    return slab;
}

static void keep(struct packets *packets, struct choices *choices, struct whole_destination *kept)
{
    static const uint32_t segments[] = {1280, 1280, 1292, 1320};
    memset(kept, 0, sizeof *kept);
    memcpy(kept->address, (const uint8_t[]){0xfd, 0x60, 0xdb, 0x4d, 0xdd, 0xb5}, 6);
    kept->address[15] = (uint8_t)(2 + choose(choices, 2));
    kept->segment = one_of(choices, segments, sizeof segments / sizeof segments[0]);
    kept->least = choose(choices, 3000);
    whole_keep(intake_whole(packets->intake), kept);
}

void scenario_read(struct choices *choices)
{
    struct packets packets;
    struct whole_destination kept;
    memset(&packets, 0, sizeof packets);
    enum offload offload = (enum offload)(OFFLOAD_TCP_UDP - choose(choices, 3));
    if (!packets_open(&packets, EXPECT_DESCRIPTOR, offload)) abort();
    bool keeps = packets.intake != NULL && choose(choices, 2) == 1;
    if (keeps) keep(&packets, choices, &kept);
    kernel_begin(choices, offload);
    slabs_begin(&packets, keeps ? &kept : NULL);
    for (enum burst end = BURST_FULL; end != BURST_EMPTIED || kernel_has_more() || !slabs_hold_all();) {
        struct row *rows;
        struct slab *slab = choose_slab(choices, &rows);
        do {
            const struct slab before = *slab;
            end = packets_read(&packets, slab);
            if (end == BURST_FAILED) broken("a device failed that did not");
            slabs_see(&before, slab, end);
        } while (rarely(choices, 6)); /* behind what stands in it, which may be all that it holds */
        if (slab->used > 0) expect_write(&packets, slab->bytes, slab->used, keeps ? kept.segment : 0, choices);
        free(rows);
    }
    slabs_count();
    packets_close(&packets);
}
