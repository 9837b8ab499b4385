/*
 * A set of unix sockets in whatever order it is used, beside a plain account of what each must know: bytes arrive once and
 * in order, a place is given away only when nobody can mean its last socket any more, and events are of what there is.
 */
#define _GNU_SOURCE
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "scenario.h"

enum { MOST_ENDS = 300, MOST_OPERATIONS = 400, MOST_PLACES = 512, MOST_EVENTS = 256 };
enum { LARGEST = 5000, BACKLOG = 8, NOBODY = -1 };

/* One end of a connection, or a listener. */
struct end {
    bool listens;
    bool open;     /* at a place */
    bool held;     /* a child has a copy of its descriptor */
    bool waiting;  /* to be accepted */
    bool finished; /* it sends no more */
    uint32_t place;
    uint32_t watched;
    int other;
    int listener; /* of a waiting one */
    size_t sent;
    size_t received;
};

static struct {
    struct sockets *sockets;
    struct choices *choices;
    struct end ends[MOST_ENDS];
    int count;
    int at[MOST_PLACES];    /* the end there, or NOBODY */
    bool left[MOST_PLACES]; /* since events were last taken */
    int copies[MOST_ENDS];
    size_t copied;
} now;

static bool is_gone(const struct end *end)
{
    return !end->open && !end->held && !end->waiting;
}

static struct end *other_of(const struct end *end)
{
    return &now.ends[end->other];
}

static size_t available(const struct end *end)
{
    return other_of(end)->sent - end->received;
}

static bool is_over(const struct end *end)
{
    return other_of(end)->finished || is_gone(other_of(end));
}

static unsigned waiting_at(int listener)
{
    unsigned count = 0;
    for (int at = 0; at < now.count; at++) count += now.ends[at].waiting && now.ends[at].listener == listener ? 1 : 0;
    return count;
}

static int new_end(void)
{
    now.ends[now.count] = (struct end){.other = NOBODY, .listener = NOBODY};
    return now.count++;
}

/* The byte at this place of all that an end sends. */
static uint8_t byte_of(const struct end *end, size_t at)
{
    return (uint8_t)(at * 31 + (at >> 8) + (size_t)(end - now.ends) * 17);
}

static void settle(int end, int place)
{
    if (place < 0 || place >= MOST_PLACES) broken("a place out of reach");
    if (now.at[place] != NOBODY) broken("a place was given away twice");
    if (now.left[place]) broken("a place was given away before events were taken");
    now.at[place] = end;
    now.ends[end].open = true;
    now.ends[end].place = (uint32_t)place;
}

static void begin_listening(void)
{
    const struct sockaddr_un anywhere = {.sun_family = AF_UNIX};
    if (now.count == MOST_ENDS) return;
    /* No name: the kernel gives it one that nothing on the disk has. */
    int place = sockets_listen(now.sockets, (const struct sockaddr *)&anywhere, sizeof anywhere.sun_family, BACKLOG);
    if (place < 0) broken("it does not listen: %s", strerror(errno));
    int end = new_end();
    now.ends[end].listens = true;
    settle(end, place);
}

/* An open end, listener or not as wanted; NULL where there is none. */
static struct end *choose_end(bool listens)
{
    if (now.count == 0) return NULL;
    int from = (int)choose(now.choices, (uint32_t)now.count);
    for (int step = 0; step < now.count; step++) {
        struct end *end = &now.ends[(from + step) % now.count];
        if (end->open && end->listens == listens) return end;
    }
    return NULL;
}

static void hold_copy(struct end *end, int descriptor)
{
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return;
    end->held = true;
    now.copies[now.copied++] = copy;
}

static void begin_connection(void)
{
    struct end *listener = choose_end(true);
    struct sockaddr_storage name;
    if (listener == NULL || now.count + 2 > MOST_ENDS) return;
    if (sockets_address(now.sockets, listener->place, false, &name) < 0) broken("a listener without a name");
    /* As the kernel names them: a zero and five digits. */
    int next = dup(STDIN_FILENO);
    close(next);
    int place = sockets_connect(now.sockets, (const struct sockaddr *)&name, sizeof(sa_family_t) + 6);
    int number = (int)(listener - now.ends);
    if (place < 0) {
        if (errno != EAGAIN || waiting_at(number) < BACKLOG) broken("it does not connect: %s", strerror(errno));
        return;
    }
    int near = new_end();
    int far = new_end();
    settle(near, place);
    now.ends[near].other = far;
    now.ends[far].other = near;
    now.ends[far].waiting = true;
    now.ends[far].listener = number;
    if (rarely(now.choices, 8)) hold_copy(&now.ends[near], next);
    reach(REACH_CONNECTED);
}

static void accept_connection(void)
{
    struct end *listener = choose_end(true);
    if (listener == NULL) return;
    int place = sockets_accept(now.sockets, listener->place);
    for (int at = 0; at < now.count; at++) {
        if (!now.ends[at].waiting || now.ends[at].listener != (int)(listener - now.ends)) continue;
        if (place < 0) broken("a client that waits is not accepted: %s", strerror(errno));
        now.ends[at].waiting = false;
        settle(at, place);
        now.ends[at].watched = SOCKET_READABLE;
        return;
    }
    if (place >= 0 || errno != EAGAIN) broken("a client was accepted that never came");
}

static void send_bytes(void)
{
    struct end *end = choose_end(false);
    uint8_t *parts[2];
    struct iovec pieces[2];
    if (end == NULL) return;
    size_t count = 1 + choose(now.choices, 2);
    for (size_t at = 0, sent = end->sent; at < count; at++) {
        size_t size = 1 + choose(now.choices, LARGEST);
        parts[at] = malloc(size);
        if (parts[at] == NULL) abort();
        for (size_t byte = 0; byte < size; byte++) parts[at][byte] = byte_of(end, sent++);
        pieces[at] = (struct iovec){.iov_base = parts[at], .iov_len = size};
    }
    ssize_t put = sockets_write(now.sockets, end->place, pieces, count);
    if (put > 0 && end->finished) broken("bytes after the end were taken");
    if (put < 0 && errno != EAGAIN && !end->finished && !is_gone(other_of(end))) {
        broken("it does not write: %s", strerror(errno));
    }
    if (put > 0) end->sent += (size_t)put;
    for (size_t at = 0; at < count; at++) free(parts[at]);
}

static void receive_bytes(void)
{
    struct end *end = choose_end(false);
    if (end == NULL) return;
    size_t size = 1 + choose(now.choices, LARGEST);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) abort();
    ssize_t got = sockets_read(now.sockets, end->place, bytes, size);
    int error = errno;
    if (got > 0 && (size_t)got > available(end)) broken("more was read than was sent");
    for (ssize_t at = 0; at < got; at++) {
        if (bytes[at] != byte_of(other_of(end), end->received++)) broken("other bytes were read than were sent");
    }
    if (got > 0) reach(REACH_MOVED);
    if (got == 0 && (available(end) > 0 || !is_over(end))) broken("it ended, and the other side has not");
    if (got < 0 && error == EAGAIN && (available(end) > 0 || is_over(end))) broken("there was something to read");
    if (got < 0 && error != EAGAIN && !is_gone(other_of(end))) broken("it does not read: %s", strerror(error));
    free(bytes);
}

static void watch_one(void)
{
    struct end *end = choose_end(rarely(now.choices, 4));
    if (end == NULL) return;
    uint32_t what = (SOCKET_READABLE + choose(now.choices, 4)) % 4;
    if (sockets_watch(now.sockets, end->place, what) < 0) broken("it cannot be waited for: %s", strerror(errno));
    end->watched = what;
}

static bool is_readable(const struct end *end)
{
    return end->listens ? waiting_at((int)(end - now.ends)) > 0 : available(end) > 0 || is_over(end);
}

static bool is_broken(const struct end *end)
{
    return !end->listens && is_over(end) && (end->finished || is_gone(other_of(end)));
}

static void take_events(void)
{
    static bool told[MOST_PLACES];
    struct socket_event *events = malloc(MOST_EVENTS * sizeof *events);
    if (events == NULL) abort();
    memset(told, 0, sizeof told);
    int got = sockets_take(now.sockets, events, MOST_EVENTS);
    memset(now.left, 0, sizeof now.left);
    for (int at = 0; at < got; at++) {
        uint32_t place = events[at].place;
        uint32_t what = events[at].what;
        if (place >= MOST_PLACES || now.at[place] == NOBODY) broken("an event of a place that nobody has");
        const struct end *end = &now.ends[now.at[place]];
        if ((what & ~(end->watched | SOCKET_BROKEN)) != 0) broken("an event that nobody waits for");
        if ((what & SOCKET_READABLE) != 0 && !is_readable(end)) broken("an event of another socket: nothing is to be read");
        if ((what & SOCKET_BROKEN) != 0 && !is_broken(end)) broken("an event of another socket: nothing is broken");
        told[place] = true;
    }
    for (int at = 0; at < now.count; at++) {
        const struct end *end = &now.ends[at];
        if (end->open && (end->watched & SOCKET_READABLE) != 0 && is_readable(end) && !told[end->place]) {
            broken("nothing was said of a socket that can be read");
        }
        if (!end->open && end->held && end->watched != 0) reach(REACH_STALE);
    }
    free(events);
}

static void end_one(void)
{
    struct end *end = choose_end(rarely(now.choices, 8));
    if (end == NULL) return;
    if (sockets_end(now.sockets, end->place, rarely(now.choices, 2)) < 0) broken("it cannot be closed");
    now.at[end->place] = NOBODY;
    now.left[end->place] = true;
    end->open = false;
    for (int at = 0; end->listens && at < now.count; at++) {
        if (now.ends[at].listener == (int)(end - now.ends)) now.ends[at].waiting = false;
    }
}

static void finish_one(void)
{
    struct end *end = choose_end(false);
    if (end == NULL) return;
    if (sockets_finish(now.sockets, end->place) < 0 && !is_gone(other_of(end))) broken("it cannot be finished");
    end->finished = true;
}

/* A place that nobody has, far away or just left. */
static void use_nobody(void)
{
    uint32_t place = choose(now.choices, MOST_PLACES);
    if (rarely(now.choices, 4)) place = UINT32_MAX - place;
    struct sockaddr_storage address;
    struct iovec piece = {.iov_base = &address, .iov_len = 1};
    if (place < MOST_PLACES && now.at[place] != NOBODY) return;
    errno = 0;
    bool refused = sockets_read(now.sockets, place, &address, 1) < 0 &&
                   sockets_write(now.sockets, place, &piece, 1) < 0 &&
                   sockets_watch(now.sockets, place, SOCKET_READABLE) < 0 && sockets_finish(now.sockets, place) < 0 &&
                   sockets_accept(now.sockets, place) < 0 && sockets_connected(now.sockets, place) < 0 &&
                   sockets_limit_unsent(now.sockets, place, 1) < 0 && sockets_end(now.sockets, place, true) < 0 &&
                   sockets_address(now.sockets, place, true, &address) < 0;
    if (!refused || errno != EBADF) broken("a place without a socket was used");
}

static void ask_one(void)
{
    struct end *end = choose_end(false);
    if (end == NULL) return;
    int connected = sockets_connected(now.sockets, end->place);
    if (connected != 1 && !is_gone(other_of(end))) broken("it says that it is not connected");
}

void scenario_sockets(struct choices *choices)
{
    static void (*const operations[])(void) = {begin_connection, accept_connection, send_bytes,      receive_bytes,
                                               watch_one,        take_events,       end_one,         finish_one,
                                               use_nobody,       ask_one,           begin_listening, receive_bytes};
    struct failure failure;
    memset(&now, 0, sizeof now);
    for (size_t at = 0; at < MOST_PLACES; at++) now.at[at] = NOBODY;
    now.choices = choices;
    now.sockets = sockets_open(&failure);
    if (now.sockets == NULL) broken("no set: %s", strerror(failure.error));
    begin_listening();
    for (int done = 0; done < MOST_OPERATIONS && choices->at < choices->end; done++) {
        operations[choose(choices, sizeof operations / sizeof operations[0])]();
        uint32_t open = 0;
        for (int at = 0; at < now.count; at++) open += now.ends[at].open ? 1 : 0;
        if (sockets_count(now.sockets) != open) broken("the number of sockets is wrong");
    }
    take_events();
    sockets_close(now.sockets);
    for (size_t at = 0; at < now.copied; at++) close(now.copies[at]);
}
