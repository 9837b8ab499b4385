/*
 * What a scenario is given, and how it says that a promise was broken or what was reached.
 */
#ifndef GARLIGATE_FUZZ_SCENARIO_H
#define GARLIGATE_FUZZ_SCENARIO_H

#include "choices.h"

/* Runs of packets written to a TUN (coalesce.c, checksum.c, write.c). */
void scenario_write(struct choices *choices);
/* What a TUN with offload hands over, read and written back (intake.c, segment.c, whole.c). */
void scenario_read(struct choices *choices);
/* A set of sockets in whatever order it is used (sockets.c). */
void scenario_sockets(struct choices *choices);
/* Answers of a kernel about interfaces, routes and rules (netlink.c, network_*.c). */
void scenario_netlink(struct choices *choices);

/* Kinds of work that a good run of inputs has met: one that is never reached was never tested. */
enum reach {
    REACH_ALONE,
    REACH_JOINED,
    REACH_WHOLE,
    REACH_REFUSED,
    REACH_CUT,
    REACH_COMPLETED,
    REACH_UNCUT,
    REACH_MALFORMED,
    REACH_NO_ROOM,
    REACH_CONNECTED,
    REACH_MOVED,
    REACH_STALE,
    REACH_ANSWERED,
    REACHES
};

void reach(enum reach what);

/* Ends the process. */
_Noreturn __attribute__((format(printf, 1, 2))) void broken(const char *format, ...);

#endif
