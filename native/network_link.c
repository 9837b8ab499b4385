/*
 * Interfaces and their addresses over rtnetlink. See network.h.
 */
#define _GNU_SOURCE
#include "netlink.h"
#include "network.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* For an address to be put to use. It will be, so nothing is wrong when that takes longer. */
enum { LONGEST_WAIT_MS = 500 };

static struct ifinfomsg *about_link(struct question *question, uint16_t type, unsigned index)
{
    struct ifinfomsg *body = question_begin(question, type, 0, sizeof *body);
    body->ifi_family = AF_UNSPEC;
    body->ifi_index = (int)index;
    return body;
}

/* IFLA_AF_SPEC { AF_INET6 { IFLA_INET6_ADDR_GEN_MODE } } */
static void read_family_part(const struct rtattr *families, struct link *link)
{
    size_t left;
    size_t inner;
    const struct rtattr *family = attribute_nested(families, &left);
    for (; family != NULL; family = attribute_next(family, &left)) {
        if ((family->rta_type & NLA_TYPE_MASK) != AF_INET6) continue;
        const struct rtattr *attribute = attribute_nested(family, &inner);
        for (; attribute != NULL; attribute = attribute_next(attribute, &inner)) {
            if ((attribute->rta_type & NLA_TYPE_MASK) != IFLA_INET6_ADDR_GEN_MODE) continue;
            if (RTA_PAYLOAD(attribute) >= 1) link->address_generation = *(const uint8_t *)RTA_DATA(attribute);
        }
    }
}

static void read_link(void *context, const struct nlmsghdr *message)
{
    struct link *link = context;
    if (message == NULL || message->nlmsg_type != RTM_NEWLINK) return;
    const struct ifinfomsg *body = message_body(message, sizeof *body);
    if (body == NULL) return;
    link->up = (body->ifi_flags & IFF_UP) != 0;
    size_t left;
    const struct rtattr *attribute = message_attributes(message, sizeof *body, &left);
    for (; attribute != NULL; attribute = attribute_next(attribute, &left)) {
        switch (attribute->rta_type & NLA_TYPE_MASK) {
        case IFLA_MTU:
            link->mtu = attribute_uint32(attribute);
            break;
        case IFLA_TXQLEN:
            link->queue = attribute_uint32(attribute);
            break;
        case IFLA_AF_SPEC:
            read_family_part(attribute, link);
            break;
        default:
            break;
        }
    }
}

bool link_read(unsigned index, struct link *link, struct failure *failure)
{
    struct question question;
    memset(link, 0, sizeof *link);
    about_link(&question, RTM_GETLINK, index);
    return netlink_ask(&question, read_link, link, failure, "link");
}

static bool set_number(unsigned index, uint16_t attribute, uint32_t value, struct failure *failure, const char *stage)
{
    struct question question;
    about_link(&question, RTM_NEWLINK, index);
    question_add(&question, attribute, &value, sizeof value);
    return netlink_ask(&question, NULL, NULL, failure, stage);
}

bool link_set_mtu(unsigned index, uint32_t mtu, struct failure *failure)
{
    return set_number(index, IFLA_MTU, mtu, failure, "mtu");
}

bool link_set_queue(unsigned index, uint32_t packets, struct failure *failure)
{
    return set_number(index, IFLA_TXQLEN, packets, failure, "queue");
}

bool link_set_address_generation(unsigned index, uint8_t mode, struct failure *failure)
{
    struct question question;
    about_link(&question, RTM_NEWLINK, index);
    struct rtattr *families = question_nest(&question, IFLA_AF_SPEC);
    struct rtattr *family = question_nest(&question, AF_INET6);
    question_add(&question, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
    question_end_nest(&question, family);
    question_end_nest(&question, families);
    return netlink_ask(&question, NULL, NULL, failure, "address-generation");
}

bool link_set_up(unsigned index, bool up, struct failure *failure)
{
    struct question question;
    struct ifinfomsg *body = about_link(&question, RTM_NEWLINK, index);
    body->ifi_change = IFF_UP;
    body->ifi_flags = up ? IFF_UP : 0;
    return netlink_ask(&question, NULL, NULL, failure, "up");
}

static void about_address(struct question *question, uint16_t type, uint16_t flags, unsigned index,
                          const uint8_t *address)
{
    struct ifaddrmsg *body = question_begin(question, type, flags, sizeof *body);
    body->ifa_family = AF_INET6;
    body->ifa_prefixlen = IPV6_ADDRESS * 8;
    body->ifa_index = index;
    question_add(question, IFA_LOCAL, address, IPV6_ADDRESS);
    question_add(question, IFA_ADDRESS, address, IPV6_ADDRESS);
}

bool address_remove(unsigned index, const uint8_t *address, struct failure *failure)
{
    struct question question;
    about_address(&question, RTM_DELADDR, 0, index, address);
    return netlink_ask(&question, NULL, NULL, failure, "address");
}

struct search {
    unsigned index;
    const uint8_t *address;
    bool found;
};

static void look_for_address(void *context, const struct nlmsghdr *message)
{
    struct search *search = context;
    if (message == NULL) {
        search->found = false;
        return;
    }
    const struct ifaddrmsg *body = message_body(message, sizeof *body);
    if (message->nlmsg_type != RTM_NEWADDR || body == NULL) return;
    if (body->ifa_family != AF_INET6 || body->ifa_index != search->index) return;
    size_t left;
    const struct rtattr *attribute = message_attributes(message, sizeof *body, &left);
    for (; attribute != NULL; attribute = attribute_next(attribute, &left)) {
        /* IFA_ADDRESS is the other end on a point-to-point address, and then IFA_LOCAL is there too. */
        int type = attribute->rta_type & NLA_TYPE_MASK;
        if ((type != IFA_ADDRESS && type != IFA_LOCAL) || RTA_PAYLOAD(attribute) != IPV6_ADDRESS) continue;
        if (memcmp(RTA_DATA(attribute), search->address, IPV6_ADDRESS) == 0) search->found = true;
    }
}

bool address_stands(unsigned index, const uint8_t *address, bool *stands, struct failure *failure)
{
    struct question question;
    struct search search = {.index = index, .address = address};
    struct ifaddrmsg *body = question_begin(&question, RTM_GETADDR, NLM_F_DUMP, sizeof *body);
    body->ifa_family = AF_INET6;
    body->ifa_index = index;
    if (!netlink_ask(&question, look_for_address, &search, failure, "address")) return false;
    *stands = search.found;
    return true;
}

static void look_for_local(void *context, const struct nlmsghdr *message)
{
    bool *local = context;
    if (message == NULL) {
        *local = false;
        return;
    }
    const struct rtmsg *body = message_body(message, sizeof *body);
    if (message->nlmsg_type == RTM_NEWROUTE && body != NULL) *local = body->rtm_type == RTN_LOCAL;
}

/* Also without duplicate address detection it is a worker of the kernel's that makes packets for an address come in, some
 * time later, and says so by no flag of the address. */
static void await_use(const uint8_t *address)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int looks = 0; looks < LONGEST_WAIT_MS; looks++) {
        struct question question;
        struct failure ignored; /* as long as nothing leads there */
        bool local = false;
        struct rtmsg *body = question_begin(&question, RTM_GETROUTE, 0, sizeof *body);
        body->rtm_family = AF_INET6;
        body->rtm_dst_len = IPV6_ADDRESS * 8;
        question_add(&question, RTA_DST, address, IPV6_ADDRESS);
        (void)netlink_ask(&question, look_for_local, &local, &ignored, "address");
        if (local) return;
        nanosleep(&pause, NULL);
    }
}

bool address_add(unsigned index, const uint8_t *address, struct failure *failure)
{
    struct question question;
    const uint32_t flags = IFA_F_NODAD | IFA_F_NOPREFIXROUTE;
    about_address(&question, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address);
    question_add(&question, IFA_FLAGS, &flags, sizeof flags);
    if (!netlink_ask(&question, NULL, NULL, failure, "address")) return false;
    await_use(address);
    return true;
}
