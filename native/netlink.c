/*
 * Asking the kernel over netlink. See netlink.h.
 */
#define _GNU_SOURCE
#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ANSWER_SIZE = 32768, /* the size that the kernel itself limits a part of an answer to */
    ATTEMPTS = 5,
    LAST_ERRNO = 4095 /* MAX_ERRNO of the kernel */
};

void *question_begin(struct question *question, uint16_t type, uint16_t flags, size_t size)
{
    memset(question, 0, sizeof *question);
    question->protocol = NETLINK_ROUTE;
    struct nlmsghdr *header = &question->message.header;
    header->nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
    header->nlmsg_type = type;
    header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    return NLMSG_DATA(header);
}

static struct rtattr *reserve(struct question *question, uint16_t type, size_t size)
{
    struct nlmsghdr *header = &question->message.header;
    size_t at = NLMSG_ALIGN(header->nlmsg_len);
    struct rtattr *attribute = (struct rtattr *)(void *)(question->message.bytes + at);
    attribute->rta_type = type;
    attribute->rta_len = (uint16_t)RTA_LENGTH(size);
    header->nlmsg_len = (uint32_t)(at + RTA_LENGTH(size));
    return attribute;
}

void question_add(struct question *question, uint16_t type, const void *value, size_t size)
{
    memcpy(RTA_DATA(reserve(question, type, size)), value, size);
}

struct rtattr *question_nest(struct question *question, uint16_t type)
{
    return reserve(question, type | NLA_F_NESTED, 0);
}

void question_end_nest(struct question *question, struct rtattr *nest)
{
    const uint8_t *end = question->message.bytes + question->message.header.nlmsg_len;
    nest->rta_len = (uint16_t)(end - (const uint8_t *)nest);
}

static const void *behind(const void *bytes, size_t size)
{
    return (const uint8_t *)bytes + size;
}

const struct nlmsghdr *message_first(const void *bytes, size_t left)
{
    const struct nlmsghdr *message = bytes;
    if (left < sizeof *message || message->nlmsg_len < sizeof *message || message->nlmsg_len > left) return NULL;
    return message;
}

const struct nlmsghdr *message_next(const struct nlmsghdr *message, size_t *left)
{
    size_t size = NLMSG_ALIGN(message->nlmsg_len);
    if (size >= *left) return NULL;
    *left -= size;
    return message_first(behind(message, size), *left);
}

const void *message_body(const struct nlmsghdr *message, size_t size)
{
    return message->nlmsg_len >= NLMSG_LENGTH(size) ? behind(message, NLMSG_HDRLEN) : NULL;
}

static const struct rtattr *attribute_first(const void *bytes, size_t left)
{
    const struct rtattr *attribute = bytes;
    if (left < sizeof *attribute || attribute->rta_len < sizeof *attribute || attribute->rta_len > left) return NULL;
    return attribute;
}

const struct rtattr *message_attributes(const struct nlmsghdr *message, size_t size, size_t *left)
{
    size_t body = NLMSG_LENGTH(NLMSG_ALIGN(size));
    if (message->nlmsg_len <= body) return NULL;
    *left = message->nlmsg_len - body;
    return attribute_first(behind(message, body), *left);
}

const struct rtattr *attribute_nested(const struct rtattr *attribute, size_t *left)
{
    *left = RTA_PAYLOAD(attribute);
    return attribute_first(RTA_DATA(attribute), *left);
}

const struct rtattr *attribute_next(const struct rtattr *attribute, size_t *left)
{
    size_t size = RTA_ALIGN(attribute->rta_len);
    if (size >= *left) return NULL;
    *left -= size;
    return attribute_first(behind(attribute, size), *left);
}

uint32_t attribute_uint32(const struct rtattr *attribute)
{
    uint32_t value = 0;
    if (RTA_PAYLOAD(attribute) >= sizeof value) memcpy(&value, RTA_DATA(attribute), sizeof value);
    return value;
}

/* The kernel's own words behind an error (NETLINK_EXT_ACK): the message is capped (NETLINK_CAP_ACK), so the attributes
 * follow the error at once. */
static void keep_words(const struct nlmsghdr *message, struct failure *failure)
{
    if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return;
    size_t left;
    const struct rtattr *attribute = message_attributes(message, sizeof(struct nlmsgerr), &left);
    for (; attribute != NULL; attribute = attribute_next(attribute, &left)) {
        if ((attribute->rta_type & NLA_TYPE_MASK) != NLMSGERR_ATTR_MSG) continue;
        size_t size = RTA_PAYLOAD(attribute);
        if (size >= sizeof failure->detail) size = sizeof failure->detail - 1;
        memcpy(failure->detail, RTA_DATA(attribute), size);
        failure->detail[size] = '\0';
    }
}

enum progress { GOING_ON, COMPLETE, FAILED, DISTURBED };

static enum progress read_message(const struct nlmsghdr *message, answer *each, void *context, struct failure *failure,
                                  const char *stage)
{
    if (message->nlmsg_flags & NLM_F_DUMP_INTR) return DISTURBED;
    if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
        int error = 0;
        const void *body = message_body(message, sizeof error);
        if (body != NULL) memcpy(&error, body, sizeof error);
        if (error >= 0) return COMPLETE;
        fail(failure, error >= -LAST_ERRNO ? -error : EPROTO, stage);
        if (message->nlmsg_type == NLMSG_ERROR) keep_words(message, failure);
        return FAILED;
    }
    if (each != NULL) each(context, message);
    return GOING_ON;
}

static enum progress read_answer(int fd, uint32_t sequence, answer *each, void *context, struct failure *failure,
                                 const char *stage)
{
    union {
        struct nlmsghdr header;
        uint8_t bytes[ANSWER_SIZE];
    } buffer;

    for (;;) {
        ssize_t got = recv(fd, buffer.bytes, sizeof buffer.bytes, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == ENOBUFS) return DISTURBED;
        if (got <= 0) {
            fail(failure, got < 0 ? errno : EPROTO, stage);
            return FAILED;
        }
        size_t left = (size_t)got;
        const struct nlmsghdr *message = message_first(buffer.bytes, left);
        for (; message != NULL; message = message_next(message, &left)) {
            if (message->nlmsg_seq != sequence) continue;
            enum progress progress = read_message(message, each, context, failure, stage);
            if (progress != GOING_ON) return progress;
        }
    }
}

static int open_socket(int protocol)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0) return fd;
    /* Each of these makes answers better or shorter on kernels that have it, and is checked again or not needed. */
    static const int wanted[] = {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK};
    const int on = 1;
    for (size_t index = 0; index < sizeof wanted / sizeof wanted[0]; index++) {
        (void)setsockopt(fd, SOL_NETLINK, wanted[index], &on, sizeof on);
    }
    return fd;
}

bool netlink_ask(struct question *question, answer *each, void *context, struct failure *failure, const char *stage)
{
    struct nlmsghdr *header = &question->message.header;
    if ((header->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP) header->nlmsg_flags |= NLM_F_ACK;

    for (uint32_t attempt = 1; attempt <= ATTEMPTS; attempt++) {
        /* A new socket each time: what is left of a disturbed answer goes away with the old one. */
        int fd = open_socket(question->protocol);
        if (fd < 0) return fail(failure, errno, stage);
        header->nlmsg_seq = attempt;
        enum progress progress = FAILED;
        if (each != NULL) each(context, NULL);
        if (send(fd, header, header->nlmsg_len, 0) < 0) fail(failure, errno, stage);
        else progress = read_answer(fd, attempt, each, context, failure, stage);
        close(fd);
        if (progress == COMPLETE) return true;
        if (progress == FAILED) return false;
    }
    return fail(failure, EAGAIN, stage);
}
