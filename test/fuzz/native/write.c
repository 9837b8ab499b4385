/*
 * Runs of packets of peers, written to a TUN with and without its offloads.
 */
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "make.h"
#include "scenario.h"

/* The length of the packets that a peer's super-packets stand for, or none. */
static size_t choose_segment(struct choices *choices)
{
    static const uint32_t some[] = {0, 0, 1280, 1260, 1420, 61, 41, 1, 1500, 65535};
    return rarely(choices, 4) ? choose(choices, 70000) : one_of(choices, some, sizeof some / sizeof some[0]);
}

void scenario_write(struct choices *choices)
{
    struct packets packets;
    enum offload offload = (enum offload)(OFFLOAD_TCP_UDP - choose(choices, 3));
    size_t segment = choose_segment(choices);
    size_t length;
    uint8_t *run = make_run(choices, &length);
    memset(&packets, 0, sizeof packets);
    if (run == NULL || !packets_open(&packets, EXPECT_DESCRIPTOR, offload)) abort();
    expect_write(&packets, run, length, segment, choices);
    packets_close(&packets);
    free(run);
}
