/*
 * What the kernel knows about an interface, its IPv6 addresses, the routes of one prefix and its packet filter, and how to
 * change it. Each function but the watch is one question: what to ask for and what to make of the answer is decided by the caller.
 */
#ifndef GARLIGATE_NETWORK_H
#define GARLIGATE_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

#define IPV6_ADDRESS 16

struct link {
    uint32_t mtu; /* bytes */
    uint32_t queue; /* packets that wait in the kernel at most */
    uint8_t address_generation; /* IN6_ADDR_GEN_MODE_* */
    bool up;
};

bool link_read(unsigned index, struct link *link, struct failure *failure);
bool link_set_mtu(unsigned index, uint32_t mtu, struct failure *failure);
bool link_set_queue(unsigned index, uint32_t packets, struct failure *failure);
bool link_set_address_generation(unsigned index, uint8_t mode, struct failure *failure);
bool link_set_up(unsigned index, bool up, struct failure *failure);

bool address_stands(unsigned index, const uint8_t *address, bool *stands, struct failure *failure);
/* As /128, without duplicate address detection and without a route of its own. Waits until the kernel has put it to use. */
bool address_add(unsigned index, const uint8_t *address, struct failure *failure);
bool address_remove(unsigned index, const uint8_t *address, struct failure *failure);

struct prefix {
    uint8_t bytes[IPV6_ADDRESS];
    uint8_t bits;
};

enum route_kind { ROUTE_INTERFACE, ROUTE_UNREACHABLE, ROUTE_OTHER };

struct route {
    enum route_kind kind;
    unsigned index; /* of the interface; of lo for an unreachable route */
    struct prefix destination;
    uint32_t metric;
    bool has_source;
    uint8_t source[IPV6_ADDRESS]; /* preferred source address */
};

struct routes_wanted {
    struct prefix prefix;
    bool inside;    /* longer prefixes inside this one too, and from every table but that of local addresses */
    unsigned index; /* of the interface that they lead to; 0 for any */
};

struct routes {
    struct route *list; /* for the caller to free */
    size_t count;
    size_t room;
};

/* Finds the routes of the main table to exactly one prefix, or all that are inside it. */
bool routes_find(const struct routes_wanted *wanted, struct routes *found, struct failure *failure);
bool route_add(const struct prefix *prefix, const struct route *route, struct failure *failure);
bool route_remove(const struct prefix *prefix, const struct route *route, struct failure *failure);

/* Are the first `bits` bits of both equal? */
bool equal_bits(const uint8_t *one, const uint8_t *other, unsigned bits);

struct nlmsghdr;

/* What a message says of an IPv6 route and its table; false for any other message. */
bool route_read(const struct nlmsghdr *message, struct route *route, uint32_t *table);

struct network_watch;

/* Hears from now on what happens to an interface, to the routes that lead into it, to those inside `prefix`, and to
 * unreachable ones. */
struct network_watch *network_watch_open(unsigned index, const struct prefix *prefix, struct failure *failure);
/* Has anything of that happened since it was asked last? Does not wait. */
bool network_watch_changed(struct network_watch *watch);
void network_watch_close(struct network_watch *watch);

/* A number that is another one after every change of the rules of nftables in this network namespace. */
bool ruleset_generation(uint32_t *generation, struct failure *failure);

#endif
