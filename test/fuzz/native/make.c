/*
 * See make.h.
 */
#include "make.h"

#include <stdlib.h>
#include <string.h>

#include "opinion.h"

enum { TCP = 6, UDP = 17, IPV6 = 40, MOST_PACKETS = 96, MOST_BYTES = 300000 };

/* Of each flow; every third one is of UDP. */
static const uint8_t OPTIONS[MAKE_FLOWS] = {0, 12, 0, 40, 4, 0, 12, 0, 0, 0, 36, 0};
static const uint32_t PAYLOADS[MAKE_FLOWS] = {1220, 1, 1212, 16, 4000, 1400, 21800, 2, 1, 65475, 7, 9000};

/* Addresses of the VPN; neighbouring flows differ in a port, or in an address. */
static void put_network_header(uint8_t *packet, uint32_t flow, uint8_t protocol)
{
    static const uint8_t prefix[6] = {0xfd, 0x60, 0xdb, 0x4d, 0xdd, 0xb5};
    memset(packet, 0, IPV6);
    packet[0] = 0x60;
    packet[3] = (uint8_t)flow;
    packet[6] = protocol;
    packet[7] = 64;
    memcpy(packet + 8, prefix, sizeof prefix);
    memcpy(packet + 24, prefix, sizeof prefix);
    packet[23] = 1;
    packet[39] = (uint8_t)(2 + flow / 6);
}

static void put_transport_header(uint8_t *transport, uint32_t flow, size_t header, size_t payload, uint32_t sequence)
{
    memset(transport, 0, header);
    put_word(transport, 1000 + flow);
    put_word(transport + 2, 443);
    if (header == 8) {
        put_word(transport + 4, header + payload);
        return;
    }
    put_word(transport + 4, sequence >> 16);
    put_word(transport + 6, sequence & 0xffff);
    transport[12] = (uint8_t)(header / 4 << 4);
    transport[13] = 0x10;
    put_word(transport + 14, 0x2000);
    memset(transport + 20, 1, header - 20);
}

static void put_payload(struct choices *choices, uint8_t *to, size_t length)
{
    uint8_t kind = choose_byte(choices);
    if (kind >= 0xf0) {
        memset(to, kind % 2 == 0 ? 0 : 0xff, length);
        return;
    }
    for (size_t at = 0; at < length; at++) to[at] = (uint8_t)(at * 7 + (at >> 8) + kind);
}

static size_t payload_of(struct making *making, uint32_t flow, size_t headers)
{
    static const uint32_t edges[] = {0, 1, 2, 3, 65534, 65535, 1240, 1239};
    struct choices *choices = making->choices;
    uint8_t kind = choose_byte(choices);
    size_t most = MAKE_LONGEST - headers;
    size_t wanted = PAYLOADS[flow];
    if (making->large && kind < 160) wanted = choose(choices, 65536);
    else if (kind >= 240) wanted = one_of(choices, edges, sizeof edges / sizeof edges[0]);
    else if (kind >= 200) wanted = choose(choices, PAYLOADS[flow] + 2);
    return wanted < most ? wanted : most;
}

/* Changes that a right checksum may cover. */
static void change_headers(struct making *making, uint32_t flow, uint8_t *packet, size_t headers)
{
    static const uint32_t protocols[] = {44, 0, 43, 60, 50, 58, 59, UDP, TCP, 255};
    struct choices *choices = making->choices;
    uint8_t *transport = packet + IPV6;
    bool tcp = headers >= IPV6 + 20;
    switch (choose(choices, 8)) {
    case 0:
        if (tcp) transport[13] = choose_byte(choices);
        break;
    case 1:
        if (tcp) transport[13] |= 0x08;
        break;
    case 2:
        packet[1 + choose(choices, 3)] = choose_byte(choices); /* traffic class and flow label */
        break;
    case 3:
        packet[7 + choose(choices, (uint32_t)headers - 7)] ^= (uint8_t)(1U << choose(choices, 8));
        break;
    case 4:
        packet[6] = (uint8_t)one_of(choices, protocols, sizeof protocols / sizeof protocols[0]);
        break;
    case 5:
        if (tcp) transport[12] = making->offset[flow] = (uint8_t)(choose(choices, 16) << 4);
        else put_word(transport + 4, choose(choices, 65536));
        break;
    case 6:
        if (tcp) transport[7] = (uint8_t)(transport[7] + choose_byte(choices));
        break;
    default:
        if (tcp) transport[headers - IPV6 - 1] = choose_byte(choices);
        break;
    }
}

/* Gives the payload a word that makes the checksum 0, of which there are two ways to write it. */
static void make_checksum_zero(uint8_t *packet, size_t headers, size_t length, uint8_t protocol)
{
    if (length < headers + 2) return;
    put_word(packet + headers, 0);
    put_word(packet + headers, opinion_checksum(packet, length, IPV6, protocol));
}

/* Changes that make it wrong, and lengths that end anywhere. Returns the new length. */
static size_t spoil(struct choices *choices, uint8_t *packet, size_t field, size_t length)
{
    switch (choose(choices, 4)) {
    case 0:
        packet[field + choose(choices, 2)] ^= (uint8_t)(1U << choose(choices, 8));
        return length;
    case 1:
        put_word(packet + field, rarely(choices, 2) ? 0xffff : 0);
        return length;
    case 2:
        packet[IPV6 + choose(choices, (uint32_t)(length - IPV6))] ^= (uint8_t)(1U << choose(choices, 8));
        return length;
    default:
        return IPV6 + choose(choices, (uint32_t)(length - IPV6 < 64 ? length - IPV6 : 64));
    }
}

size_t make_packet(struct making *making, uint32_t flow, uint8_t *to)
{
    struct choices *choices = making->choices;
    uint8_t protocol = flow % 3 == 2 ? UDP : TCP;
    size_t headers = IPV6 + (protocol == TCP ? 20U + OPTIONS[flow] : 8U);
    size_t payload = payload_of(making, flow, headers);
    size_t length = headers + payload;
    size_t field = IPV6 + (protocol == TCP ? 16U : 6U);
    uint8_t kind = choose_byte(choices);

    put_network_header(to, flow, protocol);
    put_transport_header(to + IPV6, flow, headers - IPV6, payload, making->sequence[flow]);
    put_payload(choices, to + headers, payload);
    making->sequence[flow] += (uint32_t)payload;
    if (protocol == TCP && making->offset[flow] != 0) to[IPV6 + 12] = making->offset[flow];
    if (kind >= 192) change_headers(making, flow, to, headers);
    if (kind % 64 == 63) make_checksum_zero(to, headers, length, protocol);
    put_word(to + field, opinion_checksum(to, length, IPV6, protocol));
    if (protocol == UDP && to[field] == 0 && to[field + 1] == 0) put_word(to + field, 0xffff);
    if (kind >= 160 && kind < 192) length = spoil(choices, to, field, length);
    put_word(to + 4, length - IPV6);
    return length;
}

/* What one sender has to say at once: nothing but what is ordinary. */
static size_t make_burst(struct making *making, uint32_t flow, uint8_t *to, size_t most)
{
    struct choices nothing = {NULL, NULL};
    struct making ordinary = *making;
    size_t used = 0;
    ordinary.choices = &nothing;
    for (uint32_t left = choose(making->choices, 256); left > 0 && used < most; left--) {
        used += make_packet(&ordinary, flow, to + used);
    }
    making->sequence[flow] = ordinary.sequence[flow];
    return used;
}

/* What is no packet: too short for a header, another version, or longer than what is there. */
static size_t put_tail(struct choices *choices, uint8_t *to)
{
    size_t length = 1 + choose(choices, 80);
    memset(to, 0, length);
    to[0] = rarely(choices, 4) ? 0x45 : 0x60;
    if (length >= IPV6) put_word(to + 4, length - IPV6 + 1 + choose(choices, 65536 - 80));
    return length;
}

uint8_t *make_run(struct choices *choices, size_t *length)
{
    static uint8_t room[2 * (MOST_BYTES + MAKE_LONGEST) + 128];
    struct making making = {.choices = choices};
    size_t used = 0;
    uint32_t packets = choose(choices, MOST_PACKETS);
    /* Close to where the numbers begin again. */
    for (size_t at = 0; at < MAKE_FLOWS; at++) making.sequence[at] = at % 2 == 0 ? 0xfffffff0 : (uint32_t)at;
    for (uint32_t at = 0; at <= packets && used < MOST_BYTES; at++) {
        uint32_t flow = choose(choices, MAKE_FLOWS);
        used += make_packet(&making, flow, room + used);
        if (rarely(choices, 12)) used += make_burst(&making, flow, room + used, MOST_BYTES);
    }
    if (rarely(choices, 8)) used += put_tail(choices, room + used);
    uint8_t *run = malloc(used);
    if (run != NULL) memcpy(run, room, used);
    *length = used;
    return run;
}
