/*
 * The waiting thread, the slabs, and the change of who reads. See reader.h.
 *
 * Packets stay in order because only one side reads at a time, and because a claim takes the older slab first. A slab
 * goes around: free -> filling (whoever reads into it) -> ready -> lent -> free.
 */
#define _GNU_SOURCE
#include "reader.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    /* How long the borrower may be busy before the thread reads in its place: a queue of 2000 packets lasts longer. */
    PATIENCE_MS = 2,
    /* A deleted device wakes those who wait for packets only, so the others look from time to time. */
    LOOK_MS = 1000
};

enum state { FREE, FILLING, READY, LENT };

struct place {
    struct slab slab;
    enum state state;
};

struct reader {
    struct packets *packets;
    int wake; /* eventfd: something below has changed */
    struct reader_notify notify;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    struct place places[READER_SLABS];
    unsigned current;     /* the slab that was filled last; the other one, when ready, is older */
    bool claiming;        /* the borrower has been notified, and reads until it finds nothing */
    bool reading;         /* the borrower reads at this moment */
    unsigned long claims; /* how often it asked */
    bool starved;         /* the thread waits for a slab */
    bool stopping;
};

static void wake_thread(struct reader *reader)
{
    uint64_t one = 1;
    ssize_t put;
    /* Cannot fail otherwise: the counter would have to reach 2^64. */
    do put = write(reader->wake, &one, sizeof one);
    while (put < 0 && errno == EINTR);
}

/* Takes a slab to read into, under the lock: the current one as long as it has room. */
static struct place *take_place(struct reader *reader)
{
    struct place *place = &reader->places[reader->current];
    bool has_room = place->state == FREE || (place->state == READY && slab_has_room(&place->slab));
    if (!has_room) {
        unsigned other = 1 - reader->current;
        place = &reader->places[other];
        if (place->state != FREE) return NULL;
        reader->current = other;
    }
    place->state = FILLING;
    return place;
}

/* Reads into a taken slab, without the lock, and puts it back under it. Returns what ended the burst, errno as well. */
static enum burst fill(struct reader *reader, struct place *place, bool *found)
{
    size_t before = place->slab.used;
    enum burst end = packets_read(reader->packets, &place->slab);
    int error = errno;
    pthread_mutex_lock(&reader->lock);
    *found = place->slab.used > before;
    place->state = place->slab.used > 0 ? READY : FREE;
    errno = error;
    return end;
}

/* What the thread waits for. */
enum wait { FOR_PACKETS, FOR_CLAIMS, FOR_A_SLAB };

/* Returns false when there is nothing more to wait for: the device is gone, or the kernel lets nobody wait, and `error`
 * says why. */
static bool wait_for_events(struct reader *reader, enum wait wait, int *error)
{
    static const int timeouts[] = {[FOR_PACKETS] = -1, [FOR_CLAIMS] = PATIENCE_MS, [FOR_A_SLAB] = LOOK_MS};
    struct pollfd on[2] = {{.fd = reader->wake, .events = POLLIN},
                           {.fd = reader->packets->fd, .events = wait == FOR_PACKETS ? POLLIN : 0}};
    int ready = poll(on, 2, timeouts[wait]);
    if (ready < 0 && errno != EINTR) {
        *error = errno;
        return false;
    }
    if (ready <= 0) return true;
    if (on[0].revents != 0) {
        uint64_t count;
        ssize_t got = read(reader->wake, &count, sizeof count);
        (void)got; /* non-blocking; an empty counter is as good as a read one */
    }
    /* With packets there as well, reading them comes first and finds out about the error. */
    return (on[1].revents & (POLLERR | POLLHUP | POLLNVAL)) == 0 || (on[1].revents & POLLIN) != 0;
}

/* One turn of the thread: reads, if that is up to it, and says what to wait for next. */
static enum burst take_turn(struct reader *reader, unsigned long *claims, enum wait *wait, bool *tell)
{
    enum burst end = BURST_EMPTIED;
    bool borrower_busy = reader->claims == *claims && !reader->reading;
    *claims = reader->claims;
    *wait = FOR_CLAIMS;
    *tell = false;
    if (reader->claiming && !borrower_busy) return end;

    struct place *place = take_place(reader);
    reader->starved = place == NULL;
    if (place == NULL) {
        *wait = FOR_A_SLAB;
        return end;
    }
    bool found;
    pthread_mutex_unlock(&reader->lock);
    end = fill(reader, place, &found);
    /* A packet that has been read and does not fit waits for a claim: those in the device cannot come before it. */
    if (!found && end == BURST_EMPTIED) *wait = FOR_PACKETS;
    /* Also where the packets were there before: a borrower that asked meanwhile has found nothing and gone. */
    bool ready = place->state == READY;
    *tell = ready && !reader->claiming;
    if (ready) reader->claiming = true;
    return end;
}

static void *run(void *argument)
{
    struct reader *reader = argument;
    unsigned long claims = 0;
    int error = EBADFD;

    for (;;) {
        enum wait wait;
        bool tell;
        pthread_mutex_lock(&reader->lock);
        if (reader->stopping) {
            pthread_mutex_unlock(&reader->lock);
            return NULL;
        }
        enum burst end = take_turn(reader, &claims, &wait, &tell);
        if (end == BURST_FAILED) error = errno;
        pthread_mutex_unlock(&reader->lock);
        if (tell) reader->notify.ready(reader->notify.context);
        if (end == BURST_FAILED || !wait_for_events(reader, wait, &error)) break;
    }
    reader->notify.lost(reader->notify.context, error);
    return NULL;
}

static bool start_thread(struct reader *reader)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    /* Signals belong to the threads of Node: the new thread inherits this mask. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&reader->thread, NULL, run, reader);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) pthread_setname_np(reader->thread, "tun-reader");
    errno = error;
    return error == 0;
}

struct reader *reader_start(struct packets *packets, const struct slab slabs[READER_SLABS],
                            const struct reader_notify *notify, struct failure *failure)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        fail(failure, ENOMEM, "reader");
        return NULL;
    }
    reader->packets = packets;
    reader->notify = *notify;
    for (unsigned index = 0; index < READER_SLABS; index++) reader->places[index].slab = slabs[index];

    reader->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (reader->wake < 0) {
        fail(failure, errno, "reader");
        free(reader);
        return NULL;
    }
    pthread_mutex_init(&reader->lock, NULL);
    if (start_thread(reader)) return reader;

    fail(failure, errno, "reader");
    pthread_mutex_destroy(&reader->lock);
    close(reader->wake);
    free(reader);
    return NULL;
}

/* The slab that comes next for the borrower, under the lock. */
static struct place *oldest_ready(struct reader *reader)
{
    struct place *older = &reader->places[1 - reader->current];
    struct place *newer = &reader->places[reader->current];
    if (older->state == READY) return older;
    return newer->state == READY ? newer : NULL;
}

const struct slab *reader_claim(struct reader *reader, unsigned *slab)
{
    pthread_mutex_lock(&reader->lock);
    struct place *current = &reader->places[reader->current];
    bool thread_reads = current->state == FILLING;
    struct place *oldest = oldest_ready(reader);
    /* Packets of the kernel's queue come behind those that are ready, so they may only follow the last of them. */
    struct place *more = thread_reads || (oldest != NULL && oldest != current) ? NULL : take_place(reader);
    if (more != NULL) {
        bool found;
        reader->claiming = true;
        reader->reading = true;
        pthread_mutex_unlock(&reader->lock);
        fill(reader, more, &found);
        reader->reading = false;
        oldest = oldest_ready(reader);
    }
    reader->claims++;

    if (oldest != NULL) {
        oldest->state = LENT;
        *slab = (unsigned)(oldest - reader->places);
    }
    reader->claiming = oldest != NULL;
    pthread_mutex_unlock(&reader->lock);
    if (oldest == NULL) wake_thread(reader);
    return oldest == NULL ? NULL : &oldest->slab;
}

void reader_release(struct reader *reader, unsigned slab)
{
    pthread_mutex_lock(&reader->lock);
    struct place *place = &reader->places[slab];
    place->state = FREE;
    place->slab.used = place->slab.row_count = 0;
    bool starved = reader->starved;
    reader->starved = false;
    pthread_mutex_unlock(&reader->lock);
    if (starved) wake_thread(reader);
}

void reader_stop(struct reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    reader->stopping = true;
    pthread_mutex_unlock(&reader->lock);
    wake_thread(reader);
    pthread_join(reader->thread, NULL);
    pthread_mutex_destroy(&reader->lock);
    close(reader->wake);
    free(reader);
}
