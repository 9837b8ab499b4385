/*
 * A listening socket, and a thread that waits for clients on it. The thread only says that there are some: whoever is
 * told accepts them by itself, many at a time, until there are none left, and then the thread waits again. So the thread
 * sleeps while clients come one after the other, and no descriptor is ever under way between the two. Knows nothing of
 * JavaScript.
 */
#ifndef GARLIGATE_LISTENER_H
#define GARLIGATE_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "failure.h"

struct listener;

/* Clients can be accepted, or an attempt to do so has failed long enough ago. From the thread; not repeated before
 * `listener_accept` has found nothing more or failed. */
typedef void listener_ready(void *context);

/* Binds and listens at once; the clients wait in the kernel. Clients of a TCP socket have TCP_NODELAY. */
struct listener *listener_open(const struct sockaddr *address, socklen_t length, int backlog, struct failure *failure);

/* Of a TCP socket; 0 for others. */
uint16_t listener_port(const struct listener *listener);

bool listener_start(struct listener *listener, listener_ready *ready, void *context, struct failure *failure);

/*
 * Accepts up to `most` clients into `clients` (non-blocking, closed on exec) and returns how many. With 0 there are none,
 * and the thread waits for the next one. When none can be had although there are some, it returns -1 with errno, and the
 * thread lets some time pass before it says that there are clients.
 */
int listener_accept(struct listener *listener, int *clients, int most);

/* Ends the thread, waits for it, frees the listener. No notification comes afterwards. */
void listener_close(struct listener *listener);

#endif
