/*
 * One question to the kernel over netlink and its answer (netlink(7), rtnetlink(7)). Knows the framing of messages and
 * attributes, not what they mean.
 */
#ifndef GARLIGATE_NETLINK_H
#define GARLIGATE_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

struct question {
    int protocol; /* NETLINK_ROUTE unless set otherwise after `question_begin` */
    union {
        struct nlmsghdr header;
        uint8_t bytes[512]; /* the largest of ours needs about 100 */
    } message;
};

/* Begins a message; returns its body of `size` bytes, zeroed. */
void *question_begin(struct question *question, uint16_t type, uint16_t flags, size_t size);

void question_add(struct question *question, uint16_t type, const void *value, size_t size);

/* Opens an attribute that holds those added until `question_end_nest`. */
struct rtattr *question_nest(struct question *question, uint16_t type);
void question_end_nest(struct question *question, struct rtattr *nest);

/* Called for every message of the answer; with NULL when the answer starts anew, because the kernel's tables changed
 * while it was given. */
typedef void answer(void *context, const struct nlmsghdr *message);

/* Asks on a socket of its own and waits for the end of the answer. `each` may be NULL. */
bool netlink_ask(struct question *question, answer *each, void *context, struct failure *failure, const char *stage);

/*
 * Messages, attributes and bodies are looked at in what has come and no further. NLMSG_NEXT and RTA_NEXT count below zero,
 * and so read on, behind a last one that is not padded. `*left` is what stands from the returned one on.
 */
const struct nlmsghdr *message_first(const void *bytes, size_t left);
const struct nlmsghdr *message_next(const struct nlmsghdr *message, size_t *left);
/* NULL in a message that is too short for it. */
const void *message_body(const struct nlmsghdr *message, size_t size);
/* Those behind a body of `size` bytes. */
const struct rtattr *message_attributes(const struct nlmsghdr *message, size_t size, size_t *left);
const struct rtattr *attribute_nested(const struct rtattr *attribute, size_t *left);
const struct rtattr *attribute_next(const struct rtattr *attribute, size_t *left);

/* The value of a 32-bit attribute, 0 when it is too short. */
uint32_t attribute_uint32(const struct rtattr *attribute);

#endif
