/*
 * The life of a set of sockets in JavaScript, and its events. See binding_sockets.h.
 */
#include "binding_sockets.h"

#include <errno.h>
#include <stdlib.h>

static void on_closed(void *context)
{
    struct socket_set *set = context;
    napi_remove_async_cleanup_hook(set->cleanup);
    free(set);
}

/* The environment ends, and waits until the event loop has let go. */
static void clean_up(napi_async_cleanup_hook_handle cleanup, void *context)
{
    struct socket_set *set = context;
    (void)cleanup;
    watch_close(set->watch, on_closed);
    sockets_close(set->sockets);
}

static void on_ready(void *context)
{
    struct socket_set *set = context;
    napi_env env = set->env;
    napi_handle_scope scope;
    napi_value on_events;
    napi_value count;
    napi_value thrown;
    int taken = sockets_take(set->sockets, set->events, set->most);
    if (taken == 0 || napi_open_handle_scope(env, &scope) != napi_ok) return;
    if (napi_get_reference_value(env, set->on_events, &on_events) == napi_ok &&
        napi_create_int32(env, taken, &count) == napi_ok &&
        napi_make_callback(env, set->context, on_events, on_events, 1, &count, NULL) == napi_pending_exception &&
        napi_get_and_clear_last_exception(env, &thrown) == napi_ok) {
        napi_fatal_exception(env, thrown);
    }
    napi_close_handle_scope(env, scope);
}

/* False where something fails; the environment then keeps what there is until it ends. */
static bool attach(napi_env env, struct socket_set *set, napi_value on_events, napi_value list, struct failure *failure)
{
    struct uv_loop_s *loop;
    napi_value name;
    fail(failure, ENOMEM, "sockets");
    if (napi_create_reference(env, on_events, 1, &set->on_events) != napi_ok ||
        napi_create_reference(env, list, 1, &set->list) != napi_ok ||
        napi_create_string_utf8(env, "garligate:sockets", NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_async_init(env, NULL, name, &set->context) != napi_ok ||
        napi_get_uv_event_loop(env, &loop) != napi_ok) {
        return false;
    }
    set->sockets = sockets_open(failure);
    if (set->sockets == NULL) return false;
    /* First of the two, since a watch cannot be taken back at once. It is not called before we return. */
    if (napi_add_async_cleanup_hook(env, clean_up, set, &set->cleanup) != napi_ok) {
        fail(failure, ENOMEM, "sockets");
        sockets_close(set->sockets);
        return false;
    }
    set->watch = watch_open(loop, sockets_descriptor(set->sockets), on_ready, set, failure);
    if (set->watch == NULL) {
        napi_remove_async_cleanup_hook(set->cleanup);
        sockets_close(set->sockets);
        return false;
    }
    return true;
}

/* (onEvents, list of events: two numbers each) */
static napi_value open_sockets(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    napi_value methods;
    napi_typedarray_type type;
    size_t length;
    void *events;
    struct failure failure;
    if (!take_arguments(env, info, 2, values) ||
        napi_get_typedarray_info(env, values[1], &type, &length, &events, NULL, NULL) != napi_ok ||
        type != napi_uint32_array || length < 2) {
        return throw_argument(env);
    }
    struct socket_set *set = calloc(1, sizeof *set);
    if (set == NULL) {
        fail(&failure, ENOMEM, "sockets");
        return throw_failure(env, &failure);
    }
    set->env = env;
    set->events = events;
    set->most = (int)(length / 2);
    if (!attach(env, set, values[0], values[1], &failure)) {
        free(set);
        return throw_failure(env, &failure);
    }
    bool whole = napi_create_object(env, &methods) == napi_ok && export_socket_methods(env, methods, set);
    return whole ? methods : NULL;
}

bool export_sockets(napi_env env, napi_value exports)
{
    static const struct export list[] = {{"openSockets", open_sockets}};
    return export_all(env, exports, list, sizeof list / sizeof list[0], NULL);
}
