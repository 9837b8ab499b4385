/*
 * Routes of one IPv6 prefix, and inside it, over rtnetlink. See network.h.
 */
#define _GNU_SOURCE
#include "netlink.h"
#include "network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static enum route_kind kind_of(const struct rtmsg *body)
{
    switch (body->rtm_type) {
    case RTN_UNICAST:
        return ROUTE_INTERFACE;
    case RTN_UNREACHABLE:
        return ROUTE_UNREACHABLE;
    default:
        return ROUTE_OTHER;
    }
}

bool equal_bits(const uint8_t *one, const uint8_t *other, unsigned bits)
{
    unsigned bytes = bits / 8;
    if (memcmp(one, other, bytes) != 0) return false;
    return bits % 8 == 0 || ((one[bytes] ^ other[bytes]) >> (8 - bits % 8)) == 0;
}

struct search {
    const struct routes_wanted *wanted;
    struct routes *found;
    bool full; /* no memory for more */
};

static bool is_wanted(const struct routes_wanted *wanted, const struct route *route, uint32_t table)
{
    const struct prefix *prefix = &wanted->prefix;
    if (wanted->index != 0 && route->index != wanted->index) return false;
    if (!equal_bits(route->destination.bytes, prefix->bytes, prefix->bits)) return false;
    if (wanted->inside) return route->destination.bits >= prefix->bits && table != RT_TABLE_LOCAL;
    return route->destination.bits == prefix->bits && table == RT_TABLE_MAIN;
}

static bool keep(struct routes *found, const struct route *route)
{
    if (found->count == found->room) {
        size_t room = found->room == 0 ? 16 : 2 * found->room;
        struct route *list = reallocarray(found->list, room, sizeof *list);
        if (list == NULL) return false;
        found->list = list;
        found->room = room;
    }
    found->list[found->count++] = *route;
    return true;
}

bool route_read(const struct nlmsghdr *message, struct route *route, uint32_t *table)
{
    const struct rtmsg *body = message_body(message, sizeof *body);
    if (message->nlmsg_type != RTM_NEWROUTE && message->nlmsg_type != RTM_DELROUTE) return false;
    if (body == NULL) return false;
    if (body->rtm_family != AF_INET6 || (body->rtm_flags & RTM_F_CLONED) != 0) return false;

    /* The default route has no destination attribute. */
    *route = (struct route){.kind = kind_of(body), .destination = {.bits = body->rtm_dst_len}};
    *table = body->rtm_table;
    size_t left;
    const struct rtattr *attribute = message_attributes(message, sizeof *body, &left);
    for (; attribute != NULL; attribute = attribute_next(attribute, &left)) {
        size_t size = RTA_PAYLOAD(attribute);
        switch (attribute->rta_type & NLA_TYPE_MASK) {
        case RTA_TABLE:
            *table = attribute_uint32(attribute);
            break;
        case RTA_DST:
            if (size == IPV6_ADDRESS) memcpy(route->destination.bytes, RTA_DATA(attribute), size);
            break;
        case RTA_OIF:
            route->index = attribute_uint32(attribute);
            break;
        case RTA_PRIORITY:
            route->metric = attribute_uint32(attribute);
            break;
        case RTA_PREFSRC:
            route->has_source = size == IPV6_ADDRESS;
            if (route->has_source) memcpy(route->source, RTA_DATA(attribute), size);
            break;
        case RTA_GATEWAY:
        case RTA_MULTIPATH:
        case RTA_NH_ID:
            route->kind = ROUTE_OTHER;
            break;
        default:
            break;
        }
    }
    return true;
}

static void look_for_routes(void *context, const struct nlmsghdr *message)
{
    struct search *search = context;
    struct route route;
    uint32_t table;
    if (message == NULL) {
        search->found->count = 0;
        return;
    }
    if (message->nlmsg_type != RTM_NEWROUTE || !route_read(message, &route, &table)) return;
    if (is_wanted(search->wanted, &route, table) && !keep(search->found, &route)) search->full = true;
}

bool routes_find(const struct routes_wanted *wanted, struct routes *found, struct failure *failure)
{
    struct question question;
    struct search search = {.wanted = wanted, .found = found};
    struct rtmsg *body = question_begin(&question, RTM_GETROUTE, NLM_F_DUMP, sizeof *body);
    body->rtm_family = AF_INET6;
    /* A filter where the kernel checks strictly; otherwise ignored, and done by us. */
    body->rtm_table = wanted->inside ? RT_TABLE_UNSPEC : RT_TABLE_MAIN;
    if (!netlink_ask(&question, look_for_routes, &search, failure, "route")) return false;
    return search.full ? fail(failure, ENOMEM, "route") : true;
}

static void about_route(struct question *question, uint16_t type, uint16_t flags, const struct prefix *prefix,
                        const struct route *route)
{
    bool unreachable = route->kind == ROUTE_UNREACHABLE;
    struct rtmsg *body = question_begin(question, type, flags, sizeof *body);
    body->rtm_family = AF_INET6;
    body->rtm_dst_len = prefix->bits;
    body->rtm_table = RT_TABLE_MAIN;
    body->rtm_type = unreachable ? RTN_UNREACHABLE : RTN_UNICAST;
    body->rtm_scope = RT_SCOPE_UNIVERSE;
    question_add(question, RTA_DST, prefix->bytes, IPV6_ADDRESS);
    question_add(question, RTA_PRIORITY, &route->metric, sizeof route->metric);
    if (!unreachable) question_add(question, RTA_OIF, &route->index, sizeof route->index);
    if (!unreachable && route->has_source) question_add(question, RTA_PREFSRC, route->source, IPV6_ADDRESS);
    /* A deletion without a protocol matches routes of any. */
    if (type == RTM_NEWROUTE) body->rtm_protocol = RTPROT_STATIC;
}

bool route_add(const struct prefix *prefix, const struct route *route, struct failure *failure)
{
    struct question question;
    about_route(&question, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, prefix, route);
    return netlink_ask(&question, NULL, NULL, failure, "route");
}

bool route_remove(const struct prefix *prefix, const struct route *route, struct failure *failure)
{
    struct question question;
    about_route(&question, RTM_DELROUTE, 0, prefix, route);
    return netlink_ask(&question, NULL, NULL, failure, "route");
}
