/*
 * listener.h for JavaScript: one handle that owns socket, thread and callback, and gives all of them back at
 * `stopListening` or, whichever comes first, when its environment (main thread or worker) ends.
 */
#include "binding.h"
#include "listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* Accepted in one call: the other sockets of the event loop shall have their turn as well. */
enum { MOST_AT_ONCE = 32 };

static const napi_type_tag HANDLE_TAG = {0x5d0c3f9be1784a62ULL, 0x8e27b94c60d1fa35ULL};

struct handle {
    napi_env env;
    struct listener *listener;       /* NULL: closed */
    napi_threadsafe_function events; /* the two below are set while accepting */
    napi_ref self;                   /* keeps the handle, and so the socket, while the thread runs */
};

/* Idempotent. */
static void close_handle(void *argument)
{
    struct handle *handle = argument;
    if (handle->listener == NULL) return;
    listener_close(handle->listener);
    handle->listener = NULL;
    if (handle->self == NULL) return;
    napi_release_threadsafe_function(handle->events, napi_tsfn_abort);
    napi_remove_env_cleanup_hook(handle->env, close_handle, handle);
    napi_delete_reference(handle->env, handle->self);
    handle->self = NULL;
}

static void finalize_handle(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    close_handle(data);
    free(data);
}

static struct handle *take_handle(napi_env env, napi_value value)
{
    bool ours = false;
    void *data;
    if (napi_check_object_type_tag(env, value, &HANDLE_TAG, &ours) != napi_ok || !ours) return NULL;
    return napi_unwrap(env, value, &data) == napi_ok ? data : NULL;
}

static napi_value listen_at(napi_env env, const struct sockaddr *address, socklen_t length, uint32_t backlog)
{
    struct failure failure;
    napi_value object;
    napi_value result;
    struct handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL) {
        fail(&failure, ENOMEM, "listen");
        return throw_failure(env, &failure);
    }
    handle->env = env;
    handle->listener = listener_open(address, length, (int)backlog, &failure);
    if (handle->listener == NULL) {
        free(handle);
        return throw_failure(env, &failure);
    }
    uint16_t port = listener_port(handle->listener);
    if (napi_create_object(env, &object) != napi_ok ||
        napi_wrap(env, object, handle, finalize_handle, NULL, NULL) != napi_ok) {
        finalize_handle(env, handle, NULL);
        return NULL;
    }
    if (napi_type_tag_object(env, object, &HANDLE_TAG) != napi_ok || napi_create_object(env, &result) != napi_ok) {
        return NULL;
    }
    napi_set_named_property(env, result, "handle", object);
    set_number(env, result, "port", port);
    return result;
}

/* (address of 4 or 16 bytes, port, backlog) */
static napi_value listen_tcp(napi_env env, napi_callback_info info)
{
    napi_value arguments[3];
    uint32_t port;
    uint32_t backlog;
    if (!take_arguments(env, info, 3, arguments) || !take_uint32(env, arguments[1], &port) ||
        !take_uint32(env, arguments[2], &backlog)) {
        return throw_argument(env);
    }
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (take_bytes(env, arguments[0], (uint8_t *)&ipv4.sin_addr, sizeof ipv4.sin_addr)) {
        return listen_at(env, (struct sockaddr *)&ipv4, sizeof ipv4, backlog);
    }
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (take_bytes(env, arguments[0], (uint8_t *)&ipv6.sin6_addr, sizeof ipv6.sin6_addr)) {
        return listen_at(env, (struct sockaddr *)&ipv6, sizeof ipv6, backlog);
    }
    return throw_argument(env);
}

/* (path, backlog) */
static napi_value listen_unix(napi_env env, napi_callback_info info)
{
    napi_value arguments[2];
    uint32_t backlog;
    size_t length;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct failure failure;
    if (!take_arguments(env, info, 2, arguments) || !take_uint32(env, arguments[1], &backlog) ||
        napi_get_value_string_utf8(env, arguments[0], NULL, 0, &length) != napi_ok) {
        return throw_argument(env);
    }
    if (length >= sizeof address.sun_path) {
        fail(&failure, ENAMETOOLONG, "listen");
        return throw_failure(env, &failure);
    }
    napi_get_value_string_utf8(env, arguments[0], address.sun_path, sizeof address.sun_path, &length);
    return listen_at(env, (struct sockaddr *)&address, sizeof address, backlog);
}

/* Runs on the waiting thread. The queue never holds more than one entry: see listener_ready. */
static void notify_ready(void *context)
{
    struct handle *handle = context;
    napi_call_threadsafe_function(handle->events, NULL, napi_tsfn_nonblocking);
}

static void call_javascript(napi_env env, napi_value on_ready, void *context, void *data)
{
    struct handle *handle = context;
    (void)data;
    /* Without an environment the queue is only being emptied, and the handle may be gone. */
    if (env == NULL || handle->listener == NULL) return;
    napi_call_function(env, undefined(env), on_ready, 0, NULL, NULL);
}

/* (handle, onReady) */
static napi_value start_accepting(napi_env env, napi_callback_info info)
{
    napi_value arguments[2];
    napi_value name;
    struct handle *handle;
    struct failure failure;
    if (!take_arguments(env, info, 2, arguments) || (handle = take_handle(env, arguments[0])) == NULL ||
        handle->listener == NULL || handle->self != NULL) {
        return throw_argument(env);
    }
    if (napi_create_string_utf8(env, "garligate:listener", NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_create_threadsafe_function(env, arguments[1], NULL, name, 0, 1, NULL, NULL, handle, call_javascript,
                                        &handle->events) != napi_ok) {
        return throw_argument(env);
    }
    if (!listener_start(handle->listener, notify_ready, handle, &failure)) {
        napi_release_threadsafe_function(handle->events, napi_tsfn_abort);
        return throw_failure(env, &failure);
    }
    napi_create_reference(env, arguments[0], 1, &handle->self);
    napi_add_env_cleanup_hook(env, close_handle, handle);
    return undefined(env);
}

/* (handle): the descriptors of some clients, none when there are none. */
static napi_value accept_clients(napi_env env, napi_callback_info info)
{
    napi_value arguments[1];
    napi_value list;
    struct handle *handle;
    int clients[MOST_AT_ONCE];
    if (!take_arguments(env, info, 1, arguments) || (handle = take_handle(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    int count = handle->listener == NULL ? 0 : listener_accept(handle->listener, clients, MOST_AT_ONCE);
    if (count < 0) {
        struct failure failure;
        fail(&failure, errno, "accept");
        return throw_failure(env, &failure);
    }
    if (napi_create_array_with_length(env, (size_t)count, &list) != napi_ok) return NULL;
    for (int at = 0; at < count; at++) {
        napi_value client;
        if (napi_create_int32(env, clients[at], &client) == napi_ok) napi_set_element(env, list, (uint32_t)at, client);
    }
    return list;
}

/* (handle) */
static napi_value stop_listening(napi_env env, napi_callback_info info)
{
    napi_value arguments[1];
    struct handle *handle;
    if (!take_arguments(env, info, 1, arguments) || (handle = take_handle(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    close_handle(handle);
    return undefined(env);
}

bool export_listener(napi_env env, napi_value exports)
{
    static const struct export list[] = {
        {"listenTcp", listen_tcp},
        {"listenUnix", listen_unix},
        {"startAccepting", start_accepting},
        {"acceptClients", accept_clients},
        {"stopListening", stop_listening},
    };
    return export_all(env, exports, list, sizeof list / sizeof list[0]);
}
