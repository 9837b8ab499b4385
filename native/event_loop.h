/*
 * Waits for a descriptor on Node's event loop. The one place that knows libuv, without its header: Node-API hands out the
 * loop and no more (docs/adr/0029). What is used has been the same in every libuv 1, and no other is taken.
 */
#ifndef GARLIGATE_EVENT_LOOP_H
#define GARLIGATE_EVENT_LOOP_H

#include <stdbool.h>

#include "failure.h"

struct uv_loop_s;
struct watch;

typedef void watch_callback(void *context);

/*
 * Calls `ready` in each turn of the loop in which the descriptor is readable. Does not keep the loop alive unless told by
 * `watch_hold`. All of it on the thread of the loop.
 */
struct watch *watch_open(struct uv_loop_s *loop, int fd, watch_callback *ready, void *context, struct failure *failure);

void watch_hold(struct watch *watch, bool hold);

/* The descriptor is let go at once, and may be closed; `closed` comes when the loop has forgotten the watch. */
void watch_close(struct watch *watch, watch_callback *closed);

#endif
