/*
 * A poll handle of libuv. See event_loop.h.
 */
#include "event_loop.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* As uv.h has them since libuv 1.0. Weak, so that a Node without them can still load the other parts of the addon. */
enum { UV_POLL = 8, UV_READABLE = 1, KNOWN_MAJOR = 1 };
typedef void uv_poll_cb(void *handle, int status, int events);
typedef void uv_close_cb(void *handle);
__attribute__((weak)) unsigned uv_version(void);
__attribute__((weak)) size_t uv_handle_size(int type);
__attribute__((weak)) int uv_poll_init(struct uv_loop_s *loop, void *handle, int fd);
__attribute__((weak)) int uv_poll_start(void *handle, int events, uv_poll_cb *callback);
__attribute__((weak)) int uv_poll_stop(void *handle);
__attribute__((weak)) void uv_close(void *handle, uv_close_cb *callback);
__attribute__((weak)) void uv_ref(void *handle);
__attribute__((weak)) void uv_unref(void *handle);

struct watch {
    watch_callback *ready;
    watch_callback *closed;
    void *context;
    _Alignas(max_align_t) char handle[]; /* as large as libuv says */
};

static struct watch *watch_of(void *handle)
{
    return (struct watch *)(void *)((char *)handle - offsetof(struct watch, handle));
}

static void on_ready(void *handle, int status, int events)
{
    struct watch *watch = watch_of(handle);
    (void)status; /* a failure shows to whoever asks the descriptor */
    (void)events;
    watch->ready(watch->context);
}

static void on_closed(void *handle)
{
    struct watch *watch = watch_of(handle);
    watch->closed(watch->context);
    free(watch);
}

static bool is_known(void)
{
    return uv_version != NULL && uv_version() >> 16 == KNOWN_MAJOR && uv_handle_size != NULL && uv_poll_init != NULL &&
           uv_poll_start != NULL && uv_poll_stop != NULL && uv_close != NULL && uv_ref != NULL && uv_unref != NULL;
}

struct watch *watch_open(struct uv_loop_s *loop, int fd, watch_callback *ready, void *context, struct failure *failure)
{
    if (!is_known()) {
        fail(failure, ENOSYS, "event loop");
        return NULL;
    }
    struct watch *watch = calloc(1, sizeof *watch + uv_handle_size(UV_POLL));
    if (watch == NULL) {
        fail(failure, ENOMEM, "event loop");
        return NULL;
    }
    watch->ready = ready;
    watch->context = context;
    /* libuv's errors are negative errnos. */
    int error = uv_poll_init(loop, watch->handle, fd);
    if (error < 0) {
        fail(failure, -error, "event loop");
        free(watch);
        return NULL;
    }
    /* Cannot fail on a handle that was just made. */
    uv_poll_start(watch->handle, UV_READABLE, on_ready);
    uv_unref(watch->handle);
    return watch;
}

void watch_hold(struct watch *watch, bool hold)
{
    if (hold) uv_ref(watch->handle);
    else uv_unref(watch->handle);
}

void watch_close(struct watch *watch, watch_callback *closed)
{
    watch->closed = closed;
    uv_poll_stop(watch->handle);
    uv_close(watch->handle, on_closed);
}
