/*
 * Whether anything has happened to an interface and the routes around it, as the kernel tells those who listen
 * (rtnetlink(7)). See network.h.
 */
#define _GNU_SOURCE
#include "netlink.h"
#include "network.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Messages read in one call: where others change routes faster than we read, that is a change by itself. */
enum { MOST_READ = 64, MESSAGES_SIZE = 32768 };

struct network_watch {
    int fd;
    unsigned index;
    struct prefix prefix;
};

struct network_watch *network_watch_open(unsigned index, const struct prefix *prefix, struct failure *failure)
{
    const struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
                                       .nl_groups = RTMGRP_LINK | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE};
    struct network_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        fail(failure, ENOMEM, "watch");
        return NULL;
    }
    watch->index = index;
    watch->prefix = *prefix;
    watch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (watch->fd < 0 || bind(watch->fd, (const struct sockaddr *)&groups, sizeof groups) < 0) {
        fail(failure, errno, "watch");
        network_watch_close(watch);
        return NULL;
    }
    return watch;
}

static bool is_about_route(const struct network_watch *watch, const struct nlmsghdr *message)
{
    struct route route;
    uint32_t table;
    if (!route_read(message, &route, &table)) return false;
    return route.index == watch->index || route.kind == ROUTE_UNREACHABLE ||
           equal_bits(route.destination.bytes, watch->prefix.bytes, watch->prefix.bits);
}

static bool is_about_us(const struct network_watch *watch, const struct nlmsghdr *message)
{
    const struct ifinfomsg *link = message_body(message, sizeof *link);
    const struct ifaddrmsg *address = message_body(message, sizeof *address);
    switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        return link != NULL && link->ifi_index == (int)watch->index;
    case RTM_NEWADDR:
    case RTM_DELADDR:
        return address != NULL && address->ifa_index == watch->index;
    default:
        return is_about_route(watch, message);
    }
}

bool network_watch_changed(struct network_watch *watch)
{
    union {
        struct nlmsghdr header;
        uint8_t bytes[MESSAGES_SIZE];
    } buffer;
    bool changed = false;

    for (int reads = 0; reads < MOST_READ; reads++) {
        ssize_t got = recv(watch->fd, buffer.bytes, sizeof buffer.bytes, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return changed;
        /* ENOBUFS: more has happened than was kept for us. Whatever else it is, looking is never wrong. */
        if (got <= 0) return true;
        size_t left = (size_t)got;
        const struct nlmsghdr *message = message_first(buffer.bytes, left);
        for (; message != NULL; message = message_next(message, &left)) {
            changed = changed || is_about_us(watch, message);
        }
    }
    return true;
}

void network_watch_close(struct network_watch *watch)
{
    if (watch->fd >= 0) close(watch->fd);
    free(watch);
}
