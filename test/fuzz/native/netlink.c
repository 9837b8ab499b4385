/*
 * What a kernel answers over netlink, right or not: every question and the watch come to an end, and nothing is read behind
 * what has come. Messages that end anywhere, and attributes longer than their message, are none that a kernel sends.
 */
#define _GNU_SOURCE
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network.h"
#include "scenario.h"

enum { LONGEST = 2048, MOST_ANSWERS = 24, MOST_DEPTH = 2 };

static struct {
    struct choices *choices;
    uint32_t sequence; /* of the question */
    unsigned answers;
    void *hidden; /* what of a buffer has not come */
    size_t hidden_size;
} now;

static void show_all(void)
{
    if (now.hidden != NULL) ASAN_UNPOISON_MEMORY_REGION(now.hidden, now.hidden_size);
    now.hidden = NULL;
}

static size_t choose_length(size_t right)
{
    if (!rarely(now.choices, 12)) return right;
    return choose(now.choices, 2) == 0 ? choose(now.choices, 64) : choose(now.choices, 65536);
}

/* Attributes of the kinds that are looked at, with what they hold or not enough of it. Returns their size. */
static size_t put_attributes(uint8_t *to, size_t room, unsigned depth)
{
    static const uint32_t types[] = {RTA_DST, RTA_OIF, RTA_PRIORITY, RTA_PREFSRC, RTA_TABLE, RTA_GATEWAY,
                                     IFLA_MTU, IFLA_TXQLEN, IFLA_AF_SPEC, AF_INET6, IFLA_INET6_ADDR_GEN_MODE,
                                     NFTA_GEN_ID, NLMSGERR_ATTR_MSG};
    static const uint32_t sizes[] = {4, 16, 1, 0, 200};
    size_t used = 0;
    for (uint32_t left = choose(now.choices, 6); left > 0; left--) {
        struct rtattr attribute;
        size_t size = one_of(now.choices, sizes, sizeof sizes / sizeof sizes[0]);
        size_t at = NLMSG_ALIGN(used);
        if (at + RTA_LENGTH(size) > room) break;
        attribute.rta_type = (uint16_t)one_of(now.choices, types, sizeof types / sizeof types[0]);
        memset(to + at + RTA_LENGTH(0), choose_byte(now.choices), size);
        if (depth < MOST_DEPTH && rarely(now.choices, 4)) {
            size = put_attributes(to + at + RTA_LENGTH(0), room - at - RTA_LENGTH(0), depth + 1);
        }
        attribute.rta_len = (uint16_t)choose_length(RTA_LENGTH(size));
        memcpy(to + at, &attribute, sizeof attribute);
        used = at + RTA_LENGTH(size);
    }
    return used;
}

/* Returns the bytes that it takes, without what would follow it in a message that has more. */
static size_t put_message(uint8_t *to, size_t room)
{
    static const struct {
        uint16_t type;
        uint16_t body;
    } kinds[] = {{NLMSG_DONE, sizeof(int)},
                 {RTM_NEWROUTE, sizeof(struct rtmsg)},
                 {RTM_NEWADDR, sizeof(struct ifaddrmsg)},
                 {RTM_NEWLINK, sizeof(struct ifinfomsg)},
                 {RTM_DELROUTE, sizeof(struct rtmsg)},
                 {RTM_DELADDR, sizeof(struct ifaddrmsg)},
                 {RTM_DELLINK, sizeof(struct ifinfomsg)},
                 {NLMSG_ERROR, sizeof(struct nlmsgerr)},
                 {(NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN, sizeof(struct nfgenmsg)}};
    uint8_t body[sizeof(struct nlmsgerr)];
    size_t kind = choose(now.choices, sizeof kinds / sizeof kinds[0]);
    size_t size = rarely(now.choices, 6) ? choose(now.choices, sizeof body + 1) : kinds[kind].body;
    struct nlmsghdr header = {.nlmsg_seq = now.sequence, .nlmsg_type = kinds[kind].type};
    if (rarely(now.choices, 4)) header.nlmsg_flags = (uint16_t)choose(now.choices, 65536);
    memset(body, rarely(now.choices, 3) ? choose_byte(now.choices) : 0, sizeof body);
    if (!rarely(now.choices, 4)) body[0] = AF_INET6;
    if (header.nlmsg_type == NLMSG_DONE) body[0] = 0;
    memcpy(to + NLMSG_HDRLEN, body, size);
    size_t used = NLMSG_HDRLEN + size;
    used += put_attributes(to + NLMSG_ALIGN(used), room - NLMSG_ALIGN(used), 0);
    header.nlmsg_len = (uint32_t)choose_length(used);
    memcpy(to, &header, sizeof header);
    return used;
}

/* In place of the system calls (ld --wrap); those of others than netlink are passed on. */
static bool is_ours(int descriptor)
{
    int domain;
    socklen_t size = sizeof domain;
    return getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 && errno == ENOTSOCK;
}

int __wrap_socket(int domain, int type, int protocol);
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
    if (domain != AF_NETLINK) return __real_socket(domain, type, protocol);
    return open("/dev/null", O_RDWR | O_CLOEXEC);
}

int __wrap_bind(int descriptor, const struct sockaddr *address, socklen_t length);
int __real_bind(int descriptor, const struct sockaddr *address, socklen_t length);
int __wrap_bind(int descriptor, const struct sockaddr *address, socklen_t length)
{
    return is_ours(descriptor) ? 0 : __real_bind(descriptor, address, length);
}

ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags)
{
    struct nlmsghdr header;
    (void)flags;
    if (!is_ours(descriptor)) broken("a question to somebody else");
    memcpy(&header, bytes, sizeof header);
    if (header.nlmsg_len != size || __asan_region_is_poisoned((void *)(uintptr_t)bytes, size) != NULL) {
        broken("a question is longer than its memory");
    }
    now.sequence = header.nlmsg_seq;
    return (ssize_t)size;
}

ssize_t __wrap_recv(int descriptor, void *to, size_t room, int flags);
ssize_t __real_recv(int descriptor, void *to, size_t room, int flags);
ssize_t __wrap_recv(int descriptor, void *to, size_t room, int flags)
{
    static const int errors[] = {EAGAIN, ENOBUFS, EINTR, ENETDOWN};
    if (!is_ours(descriptor)) return __real_recv(descriptor, to, room, flags);
    show_all();
    if (++now.answers > MOST_ANSWERS) {
        errno = ENETDOWN;
        return -1;
    }
    if (rarely(now.choices, 12)) {
        errno = errors[choose(now.choices, sizeof errors / sizeof errors[0])];
        return -1;
    }
    uint8_t *bytes = to;
    size_t used = 0;
    for (uint32_t left = 1 + choose(now.choices, 4); left > 0 && used + LONGEST < room; left--) {
        used = NLMSG_ALIGN(used);
        used += put_message(bytes + used, LONGEST);
    }
    now.hidden = bytes + used;
    now.hidden_size = room - used;
    ASAN_POISON_MEMORY_REGION(now.hidden, now.hidden_size);
    return (ssize_t)used;
}

static void ask(uint32_t which)
{
    static const uint8_t address[IPV6_ADDRESS] = {0};
    struct failure failure;
    struct link link;
    struct routes found = {.list = NULL};
    struct routes_wanted wanted = {.inside = which == 3};
    bool stands;
    uint32_t generation;
    now.answers = 0;
    switch (which) {
    case 0:
        link_read(1, &link, &failure);
        break;
    case 1:
        address_stands(1, address, &stands, &failure);
        break;
    case 2:
    case 3:
        if (routes_find(&wanted, &found, &failure) && found.count > 0) reach(REACH_ANSWERED);
        for (size_t at = 0; at < found.count; at++) {
            if (found.list[at].kind > ROUTE_OTHER) broken("a route of no kind");
        }
        free(found.list);
        break;
    default:
        ruleset_generation(&generation, &failure);
        break;
    }
    show_all();
}

static void watch(void)
{
    struct prefix prefix = {.bits = 48};
    struct failure failure;
    struct network_watch *watch = network_watch_open(1, &prefix, &failure);
    if (watch == NULL) broken("no watch: %s", strerror(failure.error));
    now.answers = 0;
    now.sequence = 0;
    network_watch_changed(watch);
    show_all();
    network_watch_close(watch);
}

void scenario_netlink(struct choices *choices)
{
    now.choices = choices;
    uint32_t which = choose(choices, 6);
    if (which == 5) watch();
    else ask(which);
}
