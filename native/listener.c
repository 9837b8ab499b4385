/*
 * The socket and the waiting thread. See listener.h.
 */
#define _GNU_SOURCE
#include "listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How long nobody is accepted after a failure: a client that cannot be had stays at the door, and would be announced
 * without end. */
enum { FAILURE_PAUSE_MS = 100 };

enum order { WAIT_FOR_CLIENTS, PAUSE, STOP };

struct listener {
    int fd;
    int wake; /* eventfd: there is a new order; its value is written before */
    uint16_t port;
    bool started;
    pthread_t thread;
    atomic_int order;
    listener_ready *ready;
    void *context;
};

static bool set_option(int fd, int level, int name)
{
    int on = 1;
    return setsockopt(fd, level, name, &on, sizeof on) == 0;
}

static bool prepare(int fd, int family)
{
    if (family == AF_UNIX) return true;
    if (family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) return false;
    /* Clients inherit TCP_NODELAY. */
    return set_option(fd, SOL_SOCKET, SO_REUSEADDR) && set_option(fd, IPPROTO_TCP, TCP_NODELAY);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 address; /* the port of an IPv4 address stands at the same place */
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0) return 0;
    return address.sin6_family == AF_INET || address.sin6_family == AF_INET6 ? ntohs(address.sin6_port) : 0;
}

struct listener *listener_open(const struct sockaddr *address, socklen_t length, int backlog, struct failure *failure)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        fail(failure, ENOMEM, "listen");
        return NULL;
    }
    listener->wake = -1;
    listener->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0 || !prepare(listener->fd, address->sa_family) || bind(listener->fd, address, length) < 0 ||
        listen(listener->fd, backlog) < 0 || (listener->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        fail(failure, errno, "listen");
        listener_close(listener);
        return NULL;
    }
    listener->port = port_of(listener->fd);
    return listener;
}

uint16_t listener_port(const struct listener *listener)
{
    return listener->port;
}

static void give_order(struct listener *listener, enum order order)
{
    uint64_t one = 1;
    ssize_t put;
    atomic_store(&listener->order, order);
    /* Cannot fail otherwise: the counter would have to reach 2^64. */
    do put = write(listener->wake, &one, sizeof one);
    while (put < 0 && errno == EINTR);
}

static void hear_order(struct listener *listener)
{
    uint64_t count;
    ssize_t got = read(listener->wake, &count, sizeof count);
    (void)got; /* non-blocking; an empty counter is as good as a read one */
}

static void *run(void *argument)
{
    struct listener *listener = argument;
    bool waiting = true; /* for clients; otherwise they have been announced */
    for (;;) {
        struct pollfd on[2] = {{.fd = listener->wake, .events = POLLIN},
                               {.fd = waiting ? listener->fd : -1, .events = POLLIN}};
        if (poll(on, 2, -1) < 0) continue;
        if (on[0].revents != 0) {
            hear_order(listener);
            int order = atomic_load(&listener->order);
            if (order == PAUSE && poll(on, 1, FAILURE_PAUSE_MS) > 0) order = atomic_load(&listener->order);
            if (order == STOP) return NULL;
            waiting = true;
        } else if (on[1].revents != 0) {
            waiting = false;
            listener->ready(listener->context);
        }
    }
}

bool listener_start(struct listener *listener, listener_ready *ready, void *context, struct failure *failure)
{
    sigset_t all;
    sigset_t before;
    listener->ready = ready;
    listener->context = context;
    sigfillset(&all);
    /* Signals belong to the threads of Node: the new thread inherits this mask. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&listener->thread, NULL, run, listener);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) return fail(failure, error, "listen");
    pthread_setname_np(listener->thread, "listener");
    listener->started = true;
    return true;
}

int listener_accept(struct listener *listener, int *clients, int most)
{
    int count = 0;
    while (count < most) {
        int client = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            clients[count++] = client;
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        /* A failure behind a success comes again, alone. */
        if (count > 0) break;
        int error = errno;
        give_order(listener, error == EAGAIN ? WAIT_FOR_CLIENTS : PAUSE);
        errno = error;
        return error == EAGAIN ? 0 : -1;
    }
    return count;
}

void listener_close(struct listener *listener)
{
    if (listener->started) {
        give_order(listener, STOP);
        pthread_join(listener->thread, NULL);
    }
    if (listener->wake >= 0) close(listener->wake);
    if (listener->fd >= 0) close(listener->fd);
    free(listener);
}
