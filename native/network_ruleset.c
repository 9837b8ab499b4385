/*
 * Whether anybody has changed the rules of nftables, over nfnetlink. See network.h.
 */
#include "netlink.h"
#include "network.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

static void read_generation(void *context, const struct nlmsghdr *message)
{
    uint32_t *generation = context;
    if (message == NULL || message->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN)) return;
    size_t left;
    const struct rtattr *attribute = message_attributes(message, sizeof(struct nfgenmsg), &left);
    for (; attribute != NULL; attribute = attribute_next(attribute, &left)) {
        if ((attribute->rta_type & NLA_TYPE_MASK) == NFTA_GEN_ID) *generation = ntohl(attribute_uint32(attribute));
    }
}

bool ruleset_generation(uint32_t *generation, struct failure *failure)
{
    struct question question;
    struct nfgenmsg *body = question_begin(&question, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN, 0, sizeof *body);
    body->nfgen_family = AF_UNSPEC;
    body->version = NFNETLINK_V0;
    question.protocol = NETLINK_NETFILTER;
    *generation = 0;
    return netlink_ask(&question, read_generation, generation, failure, "ruleset");
}
