/*
 * A set of stream sockets, TCP and unix, that never block, and one descriptor that says whether something has happened to
 * any of them. Whoever waits for that takes the events, many at a time.
 *
 * A socket is named by the number of its place. A place that was left is given away again only at the next
 * `sockets_take`, so that an event never means a later socket than the one that it happened to. Knows nothing of
 * JavaScript.
 */
#ifndef GARLIGATE_SOCKETS_H
#define GARLIGATE_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "failure.h"

/* What happened, and what is waited for. The same numbers stand in src/io/native-sockets.ts. */
enum {
    SOCKET_READABLE = 1, /* bytes, an end, or on a listening socket a client */
    SOCKET_WRITABLE = 2, /* on a connecting socket: it is connected, or has failed */
    SOCKET_BROKEN = 4,   /* both directions are over; told wherever something is waited for */
};

struct socket_event {
    uint32_t place;
    uint32_t what;
};

struct sockets;

struct sockets *sockets_open(struct failure *failure);

/* Closes every socket. */
void sockets_close(struct sockets *sockets);

/* Readable while there are events. Belongs to the set. */
int sockets_descriptor(const struct sockets *sockets);

/* How many sockets are open. */
uint32_t sockets_count(const struct sockets *sockets);

/* Takes up to `most` events without waiting. */
int sockets_take(struct sockets *sockets, struct socket_event *events, int most);

/* All that follows returns -1 with errno when it fails; EBADF at a place that has no socket. */

/* Binds and listens at once; the clients wait in the kernel, and are waited for when asked. Those of a TCP socket have
 * TCP_NODELAY. Returns the place. */
int sockets_listen(struct sockets *sockets, const struct sockaddr *address, socklen_t length, int backlog);
/* Returns the place of the next client, which is waited for to be readable; EAGAIN where there is none. */
int sockets_accept(struct sockets *sockets, uint32_t listener);
/* Begins to connect, over TCP with TCP_NODELAY. Nothing is waited for yet. Returns the place. */
int sockets_connect(struct sockets *sockets, const struct sockaddr *address, socklen_t length);
/* 1: connected; 0: not yet; -1: failed. */
int sockets_connected(struct sockets *sockets, uint32_t place);

/* What is waited for from now on; an event is taken again and again until its cause is gone or it is not waited for. */
int sockets_watch(struct sockets *sockets, uint32_t place, uint32_t what);
/* 0 at the end. */
ssize_t sockets_read(struct sockets *sockets, uint32_t place, void *bytes, size_t size);
ssize_t sockets_write(struct sockets *sockets, uint32_t place, struct iovec *parts, size_t count);
/* Nothing more will be written. */
int sockets_finish(struct sockets *sockets, uint32_t place);
/* The kernel takes no more than so many bytes ahead of what it has sent (TCP_NOTSENT_LOWAT). */
int sockets_limit_unsent(struct sockets *sockets, uint32_t place, uint32_t bytes);
int sockets_address(struct sockets *sockets, uint32_t place, bool remote, struct sockaddr_storage *address);
/* With `reset` the other side sees a failure and no end, where the socket knows one. */
int sockets_end(struct sockets *sockets, uint32_t place, bool reset);

#endif
