/*
 * The places and their epoll. See sockets.h.
 */
#define _GNU_SOURCE
#include "sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* At most in one call of `sockets_take`. */
enum { MOST_EVENTS = 256 };
enum { FIRST_PLACES = 16 };
enum { NO_PLACE = UINT32_MAX };

struct place {
    int fd;              /* -1: free */
    uint32_t generation; /* of its sockets: a child between fork and exec may keep one in the epoll that is closed here */
    uint32_t watched;
    uint32_t next;       /* in its list, while free */
};

struct sockets {
    int epoll;
    struct place *places;
    uint32_t size;
    uint32_t count;
    uint32_t free;       /* list of places that can be given away */
    uint32_t left;       /* list of those that were left since the last `sockets_take`, */
    uint32_t left_first; /* and its end */
};

struct sockets *sockets_open(struct failure *failure)
{
    struct sockets *sockets = calloc(1, sizeof *sockets);
    if (sockets == NULL) {
        fail(failure, ENOMEM, "sockets");
        return NULL;
    }
    sockets->free = sockets->left = NO_PLACE;
    sockets->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (sockets->epoll >= 0) return sockets;
    fail(failure, errno, "sockets");
    free(sockets);
    return NULL;
}

void sockets_close(struct sockets *sockets)
{
    for (uint32_t at = 0; at < sockets->size; at++) {
        if (sockets->places[at].fd >= 0) close(sockets->places[at].fd);
    }
    close(sockets->epoll);
    free(sockets->places);
    free(sockets);
}

int sockets_descriptor(const struct sockets *sockets)
{
    return sockets->epoll;
}

uint32_t sockets_count(const struct sockets *sockets)
{
    return sockets->count;
}

static bool grow(struct sockets *sockets)
{
    uint32_t size = sockets->size == 0 ? FIRST_PLACES : sockets->size * 2;
    struct place *places = realloc(sockets->places, size * sizeof *places);
    if (places == NULL) return false;
    for (uint32_t at = size; at-- > sockets->size;) {
        places[at] = (struct place){.fd = -1, .next = sockets->free};
        sockets->free = at;
    }
    sockets->places = places;
    sockets->size = size;
    return true;
}

/* Closes the descriptor when it fails. */
static int settle(struct sockets *sockets, int fd)
{
    if (sockets->free == NO_PLACE && !grow(sockets)) {
        close(fd);
        errno = ENOMEM;
        return -1;
    }
    uint32_t at = sockets->free;
    struct place *place = &sockets->places[at];
    sockets->free = place->next;
    place->fd = fd;
    place->watched = 0;
    sockets->count++;
    return (int)at;
}

static struct place *find(struct sockets *sockets, uint32_t at)
{
    if (at < sockets->size && sockets->places[at].fd >= 0) return &sockets->places[at];
    errno = EBADF;
    return NULL;
}

static uint32_t what_of(uint32_t events)
{
    return (events & EPOLLIN ? SOCKET_READABLE : 0U) | (events & EPOLLOUT ? SOCKET_WRITABLE : 0U) |
           (events & (EPOLLERR | EPOLLHUP) ? SOCKET_BROKEN : 0U);
}

int sockets_take(struct sockets *sockets, struct socket_event *events, int most)
{
    struct epoll_event found[MOST_EVENTS];
    int count = 0;
    if (sockets->left != NO_PLACE) {
        sockets->places[sockets->left_first].next = sockets->free;
        sockets->free = sockets->left;
        sockets->left = NO_PLACE;
    }
    int got = epoll_wait(sockets->epoll, found, most < MOST_EVENTS ? most : MOST_EVENTS, 0);
    for (int at = 0; at < got; at++) {
        uint32_t place = (uint32_t)found[at].data.u64;
        if (sockets->places[place].generation != (uint32_t)(found[at].data.u64 >> 32)) continue;
        events[count++] = (struct socket_event){place, what_of(found[at].events)};
    }
    return count;
}

static bool set_option(int fd, int level, int name)
{
    int on = 1;
    return setsockopt(fd, level, name, &on, sizeof on) == 0;
}

static bool listen_on(int fd, const struct sockaddr *address, socklen_t length, int backlog)
{
    int family = address->sa_family;
    if (family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) return false;
    /* Clients inherit TCP_NODELAY. */
    if (family != AF_UNIX && (!set_option(fd, SOL_SOCKET, SO_REUSEADDR) || !set_option(fd, IPPROTO_TCP, TCP_NODELAY))) {
        return false;
    }
    return bind(fd, address, length) == 0 && listen(fd, backlog) == 0;
}

static bool connect_to(int fd, const struct sockaddr *address, socklen_t length)
{
    if (address->sa_family != AF_UNIX && !set_option(fd, IPPROTO_TCP, TCP_NODELAY)) return false;
    return connect(fd, address, length) == 0 || errno == EINPROGRESS || errno == EINTR;
}

static int new_socket(const struct sockaddr *address)
{
    return socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int settle_if(struct sockets *sockets, int fd, bool ready)
{
    if (ready) return settle(sockets, fd);
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int sockets_listen(struct sockets *sockets, const struct sockaddr *address, socklen_t length, int backlog)
{
    int fd = new_socket(address);
    return fd < 0 ? -1 : settle_if(sockets, fd, listen_on(fd, address, length, backlog));
}

int sockets_connect(struct sockets *sockets, const struct sockaddr *address, socklen_t length)
{
    int fd = new_socket(address);
    return fd < 0 ? -1 : settle_if(sockets, fd, connect_to(fd, address, length));
}

int sockets_accept(struct sockets *sockets, uint32_t listener)
{
    struct place *place = find(sockets, listener);
    int fd;
    if (place == NULL) return -1;
    do fd = accept4(place->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) return -1;
    int at = settle(sockets, fd);
    if (at < 0 || sockets_watch(sockets, (uint32_t)at, SOCKET_READABLE) == 0) return at;
    int error = errno;
    sockets_end(sockets, (uint32_t)at, false);
    errno = error;
    return -1;
}

int sockets_connected(struct sockets *sockets, uint32_t at)
{
    struct place *place = find(sockets, at);
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int error = 0;
    socklen_t size = sizeof error;
    if (place == NULL || getsockopt(place->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) return -1;
    if (error == 0 && getpeername(place->fd, (struct sockaddr *)&address, &length) == 0) return 1;
    if (error == 0 && errno == ENOTCONN) return 0;
    if (error != 0) errno = error;
    return -1;
}

int sockets_watch(struct sockets *sockets, uint32_t at, uint32_t what)
{
    struct place *place = find(sockets, at);
    if (place == NULL) return -1;
    if (place->watched == what) return 0;
    struct epoll_event event = {
        .events = (what & SOCKET_READABLE ? (uint32_t)EPOLLIN : 0U) | (what & SOCKET_WRITABLE ? (uint32_t)EPOLLOUT : 0U),
        .data.u64 = (uint64_t)place->generation << 32 | at,
    };
    /* A broken socket that is waited for by nobody would be told of without end, so it leaves altogether. */
    int operation = place->watched == 0 ? EPOLL_CTL_ADD : what == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (epoll_ctl(sockets->epoll, operation, place->fd, &event) < 0) return -1;
    place->watched = what;
    return 0;
}

ssize_t sockets_read(struct sockets *sockets, uint32_t at, void *bytes, size_t size)
{
    struct place *place = find(sockets, at);
    ssize_t got;
    if (place == NULL) return -1;
    do got = recv(place->fd, bytes, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

ssize_t sockets_write(struct sockets *sockets, uint32_t at, struct iovec *parts, size_t count)
{
    struct place *place = find(sockets, at);
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t put;
    if (place == NULL) return -1;
    do put = sendmsg(place->fd, &message, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    return put;
}

int sockets_finish(struct sockets *sockets, uint32_t at)
{
    struct place *place = find(sockets, at);
    return place == NULL ? -1 : shutdown(place->fd, SHUT_WR);
}

int sockets_limit_unsent(struct sockets *sockets, uint32_t at, uint32_t bytes)
{
    struct place *place = find(sockets, at);
    return place == NULL ? -1 : setsockopt(place->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

int sockets_address(struct sockets *sockets, uint32_t at, bool remote, struct sockaddr_storage *address)
{
    struct place *place = find(sockets, at);
    socklen_t length = sizeof *address;
    if (place == NULL) return -1;
    return remote ? getpeername(place->fd, (struct sockaddr *)address, &length)
                  : getsockname(place->fd, (struct sockaddr *)address, &length);
}

int sockets_end(struct sockets *sockets, uint32_t at, bool reset)
{
    struct place *place = find(sockets, at);
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (place == NULL) return -1;
    if (reset) setsockopt(place->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    /* Whatever it returns, the descriptor is gone. */
    close(place->fd);
    place->fd = -1;
    place->generation++;
    place->next = sockets->left;
    if (sockets->left == NO_PLACE) sockets->left_first = at;
    sockets->left = at;
    sockets->count--;
    return 0;
}
