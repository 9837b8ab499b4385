/*
 * sockets.h for JavaScript: one object whose methods know their set of sockets. The set lives as long as its environment
 * (main thread or worker), and keeps that alive while it has sockets, as Node's own do.
 */
#include "binding.h"
#include "event_loop.h"
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* Written in one call. */
enum { MOST_PARTS = 64 };

struct handle {
    napi_env env;
    struct sockets *sockets;
    struct watch *watch;
    napi_async_context context; /* of the calls into JavaScript */
    napi_ref on_events;
    napi_ref list; /* holds the memory of `events` */
    struct socket_event *events;
    int most;
    bool holds_environment;
    napi_async_cleanup_hook_handle cleanup;
};

static void on_closed(void *context)
{
    struct handle *handle = context;
    napi_remove_async_cleanup_hook(handle->cleanup);
    free(handle);
}

/* The environment ends, and waits until the event loop has let go. */
static void clean_up(napi_async_cleanup_hook_handle cleanup, void *context)
{
    struct handle *handle = context;
    (void)cleanup;
    watch_close(handle->watch, on_closed);
    sockets_close(handle->sockets);
}

static void on_ready(void *context)
{
    struct handle *handle = context;
    napi_env env = handle->env;
    napi_handle_scope scope;
    napi_value on_events;
    napi_value count;
    napi_value thrown;
    int taken = sockets_take(handle->sockets, handle->events, handle->most);
    if (taken == 0 || napi_open_handle_scope(env, &scope) != napi_ok) return;
    if (napi_get_reference_value(env, handle->on_events, &on_events) == napi_ok &&
        napi_create_int32(env, taken, &count) == napi_ok &&
        napi_make_callback(env, handle->context, on_events, on_events, 1, &count, NULL) == napi_pending_exception &&
        napi_get_and_clear_last_exception(env, &thrown) == napi_ok) {
        napi_fatal_exception(env, thrown);
    }
    napi_close_handle_scope(env, scope);
}

static void hold_environment(struct handle *handle)
{
    bool hold = sockets_count(handle->sockets) > 0;
    if (hold == handle->holds_environment) return;
    handle->holds_environment = hold;
    watch_hold(handle->watch, hold);
}

/* NULL: not what was expected, and an error is thrown. */
static struct handle *take_call(napi_env env, napi_callback_info info, size_t count, napi_value *values)
{
    size_t given = count;
    void *data;
    if (napi_get_cb_info(env, info, &given, values, NULL, &data) == napi_ok && given >= count) return data;
    throw_argument(env);
    return NULL;
}

/* The same for methods of one socket, whose first argument is its place. */
static struct handle *take_socket_call(napi_env env, napi_callback_info info, size_t count, napi_value *values,
                                       uint32_t *place)
{
    struct handle *handle = take_call(env, info, count, values);
    if (handle == NULL || take_uint32(env, values[0], place)) return handle;
    throw_argument(env);
    return NULL;
}

/* A number of bytes or a place, or an error. */
static napi_value answer(napi_env env, ssize_t value, const char *stage)
{
    napi_value number;
    struct failure failure;
    if (value >= 0) return napi_create_int32(env, (int32_t)value, &number) == napi_ok ? number : NULL;
    fail(&failure, errno, stage);
    return throw_failure(env, &failure);
}

/* The same, and -1 for not now. */
static napi_value answer_now(napi_env env, ssize_t value, const char *stage)
{
    napi_value number;
    if (value >= 0 || errno != EAGAIN) return answer(env, value, stage);
    return napi_create_int32(env, -1, &number) == napi_ok ? number : NULL;
}

/* An address of 4 or 16 bytes and a port. */
static bool take_tcp(napi_env env, const napi_value *values, struct sockaddr_storage *address, socklen_t *length)
{
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;
    uint32_t port;
    memset(address, 0, sizeof *address);
    if (!take_uint32(env, values[1], &port)) return false;
    if (take_bytes(env, values[0], (uint8_t *)&ipv4->sin_addr, sizeof ipv4->sin_addr)) {
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons((uint16_t)port);
        *length = sizeof *ipv4;
        return true;
    }
    if (!take_bytes(env, values[0], (uint8_t *)&ipv6->sin6_addr, sizeof ipv6->sin6_addr)) return false;
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons((uint16_t)port);
    *length = sizeof *ipv6;
    return true;
}

static bool take_path(napi_env env, napi_value value, struct sockaddr_storage *address, socklen_t *length)
{
    struct sockaddr_un *local = (struct sockaddr_un *)address;
    size_t size;
    memset(address, 0, sizeof *address);
    local->sun_family = AF_UNIX;
    *length = sizeof *local;
    return napi_get_value_string_utf8(env, value, NULL, 0, &size) == napi_ok && size < sizeof local->sun_path &&
           napi_get_value_string_utf8(env, value, local->sun_path, sizeof local->sun_path, &size) == napi_ok;
}

/* To be called after everything that changes the number of sockets. */
static int counted(struct handle *handle, int result)
{
    int error = errno;
    hold_environment(handle);
    errno = error;
    return result;
}

static napi_value listen_at(napi_env env, struct handle *handle, const struct sockaddr_storage *address,
                            socklen_t length, napi_value backlog)
{
    uint32_t most;
    if (!take_uint32(env, backlog, &most)) return throw_argument(env);
    int place = sockets_listen(handle->sockets, (const struct sockaddr *)address, length, (int)most);
    return answer(env, counted(handle, place), "listen");
}

/* (address, port, backlog) */
static napi_value listen_tcp(napi_env env, napi_callback_info info)
{
    napi_value values[3];
    struct sockaddr_storage address;
    socklen_t length;
    struct handle *handle = take_call(env, info, 3, values);
    if (handle == NULL) return NULL;
    if (!take_tcp(env, values, &address, &length)) return throw_argument(env);
    return listen_at(env, handle, &address, length, values[2]);
}

/* (path, backlog) */
static napi_value listen_unix(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    struct sockaddr_storage address;
    socklen_t length;
    struct handle *handle = take_call(env, info, 2, values);
    if (handle == NULL) return NULL;
    if (!take_path(env, values[0], &address, &length)) return throw_argument(env);
    return listen_at(env, handle, &address, length, values[1]);
}

/* (listener) */
static napi_value accept_client(napi_env env, napi_callback_info info)
{
    napi_value values[1];
    uint32_t listener;
    struct handle *handle = take_socket_call(env, info, 1, values, &listener);
    if (handle == NULL) return NULL;
    return answer_now(env, counted(handle, sockets_accept(handle->sockets, listener)), "accept");
}

static napi_value connect_at(napi_env env, struct handle *handle, const struct sockaddr_storage *address,
                             socklen_t length)
{
    int place = sockets_connect(handle->sockets, (const struct sockaddr *)address, length);
    return answer(env, counted(handle, place), "connect");
}

/* (address, port) */
static napi_value connect_tcp(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    struct sockaddr_storage address;
    socklen_t length;
    struct handle *handle = take_call(env, info, 2, values);
    if (handle == NULL) return NULL;
    return take_tcp(env, values, &address, &length) ? connect_at(env, handle, &address, length) : throw_argument(env);
}

/* (path) */
static napi_value connect_unix(napi_env env, napi_callback_info info)
{
    napi_value values[1];
    struct sockaddr_storage address;
    socklen_t length;
    struct handle *handle = take_call(env, info, 1, values);
    if (handle == NULL) return NULL;
    return take_path(env, values[0], &address, &length) ? connect_at(env, handle, &address, length)
                                                        : throw_argument(env);
}

/* (place) */
static napi_value is_connected(napi_env env, napi_callback_info info)
{
    napi_value values[1];
    uint32_t place;
    struct handle *handle = take_socket_call(env, info, 1, values, &place);
    if (handle == NULL) return NULL;
    int connected = sockets_connected(handle->sockets, place);
    return connected < 0 ? answer(env, -1, "connect") : boolean(env, connected == 1);
}

/* (place, what) */
static napi_value watch(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    uint32_t place;
    uint32_t what;
    struct handle *handle = take_socket_call(env, info, 2, values, &place);
    if (handle == NULL) return NULL;
    if (!take_uint32(env, values[1], &what)) return throw_argument(env);
    return answer(env, sockets_watch(handle->sockets, place, what), "watch");
}

static bool take_memory(napi_env env, napi_value value, struct iovec *part)
{
    return napi_get_buffer_info(env, value, &part->iov_base, &part->iov_len) == napi_ok;
}

/* (place, buffer) */
static napi_value read_bytes(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    uint32_t place;
    struct iovec part;
    struct handle *handle = take_socket_call(env, info, 2, values, &place);
    if (handle == NULL) return NULL;
    if (!take_memory(env, values[1], &part)) return throw_argument(env);
    return answer_now(env, sockets_read(handle->sockets, place, part.iov_base, part.iov_len), "read");
}

/* (place, buffer) */
static napi_value write_bytes(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    uint32_t place;
    struct iovec part;
    struct handle *handle = take_socket_call(env, info, 2, values, &place);
    if (handle == NULL) return NULL;
    if (!take_memory(env, values[1], &part)) return throw_argument(env);
    return answer_now(env, sockets_write(handle->sockets, place, &part, 1), "write");
}

/* (place, buffers): the first of them */
static napi_value write_parts(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    uint32_t place;
    uint32_t count;
    struct iovec parts[MOST_PARTS];
    struct handle *handle = take_socket_call(env, info, 2, values, &place);
    if (handle == NULL) return NULL;
    if (napi_get_array_length(env, values[1], &count) != napi_ok) return throw_argument(env);
    if (count > MOST_PARTS) count = MOST_PARTS;
    for (uint32_t at = 0; at < count; at++) {
        napi_value buffer;
        if (napi_get_element(env, values[1], at, &buffer) != napi_ok || !take_memory(env, buffer, &parts[at])) {
            return throw_argument(env);
        }
    }
    return answer_now(env, sockets_write(handle->sockets, place, parts, count), "write");
}

/* (place) */
static napi_value finish(napi_env env, napi_callback_info info)
{
    napi_value values[1];
    uint32_t place;
    struct handle *handle = take_socket_call(env, info, 1, values, &place);
    return handle == NULL ? NULL : answer(env, sockets_finish(handle->sockets, place), "finish");
}

/* (place, bytes) */
static napi_value limit_unsent(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    uint32_t place;
    uint32_t bytes;
    struct handle *handle = take_socket_call(env, info, 2, values, &place);
    if (handle == NULL) return NULL;
    if (!take_uint32(env, values[1], &bytes)) return throw_argument(env);
    return answer(env, sockets_limit_unsent(handle->sockets, place, bytes), "unsent mark");
}

static napi_value address_of(napi_env env, napi_callback_info info, bool remote)
{
    napi_value values[1];
    napi_value text;
    uint32_t place;
    struct sockaddr_storage address;
    char shown[INET6_ADDRSTRLEN];
    struct handle *handle = take_socket_call(env, info, 1, values, &place);
    if (handle == NULL) return NULL;
    if (sockets_address(handle->sockets, place, remote, &address) < 0) return undefined(env);
    const void *bytes = address.ss_family == AF_INET ? (const void *)&((struct sockaddr_in *)&address)->sin_addr
                                                     : (const void *)&((struct sockaddr_in6 *)&address)->sin6_addr;
    /* Of a unix socket there is none. */
    if (inet_ntop(address.ss_family, bytes, shown, sizeof shown) == NULL) return undefined(env);
    return napi_create_string_latin1(env, shown, NAPI_AUTO_LENGTH, &text) == napi_ok ? text : NULL;
}

/* (place) */
static napi_value remote_address(napi_env env, napi_callback_info info)
{
    return address_of(env, info, true);
}

/* (place) */
static napi_value local_address(napi_env env, napi_callback_info info)
{
    return address_of(env, info, false);
}

/* (place) */
static napi_value local_port(napi_env env, napi_callback_info info)
{
    napi_value values[1];
    uint32_t place;
    struct sockaddr_storage address;
    struct handle *handle = take_socket_call(env, info, 1, values, &place);
    if (handle == NULL) return NULL;
    int failed = sockets_address(handle->sockets, place, false, &address);
    bool has_port = failed == 0 && (address.ss_family == AF_INET || address.ss_family == AF_INET6);
    /* The port of an IPv4 address stands at the same place. */
    return answer(env, has_port ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port) : failed, "address");
}

/* (place, reset) */
static napi_value end(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    uint32_t place;
    bool reset;
    struct handle *handle = take_socket_call(env, info, 2, values, &place);
    if (handle == NULL) return NULL;
    if (napi_get_value_bool(env, values[1], &reset) != napi_ok) return throw_argument(env);
    return answer(env, counted(handle, sockets_end(handle->sockets, place, reset)), "close");
}

static const struct export METHODS[] = {
    {"listenTcp", listen_tcp},
    {"listenUnix", listen_unix},
    {"accept", accept_client},
    {"connectTcp", connect_tcp},
    {"connectUnix", connect_unix},
    {"isConnected", is_connected},
    {"watch", watch},
    {"read", read_bytes},
    {"write", write_bytes},
    {"writeParts", write_parts},
    {"finish", finish},
    {"limitUnsent", limit_unsent},
    {"remoteAddress", remote_address},
    {"localAddress", local_address},
    {"localPort", local_port},
    {"close", end},
};

/* False where something fails; the environment then keeps what there is until it ends. */
static bool attach(napi_env env, struct handle *handle, napi_value on_events, napi_value list, struct failure *failure)
{
    struct uv_loop_s *loop;
    napi_value name;
    fail(failure, ENOMEM, "sockets");
    if (napi_create_reference(env, on_events, 1, &handle->on_events) != napi_ok ||
        napi_create_reference(env, list, 1, &handle->list) != napi_ok ||
        napi_create_string_utf8(env, "garligate:sockets", NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_async_init(env, NULL, name, &handle->context) != napi_ok ||
        napi_get_uv_event_loop(env, &loop) != napi_ok) {
        return false;
    }
    handle->sockets = sockets_open(failure);
    if (handle->sockets == NULL) return false;
    /* First of the two, since a watch cannot be taken back at once. It is not called before we return. */
    if (napi_add_async_cleanup_hook(env, clean_up, handle, &handle->cleanup) != napi_ok) {
        fail(failure, ENOMEM, "sockets");
        sockets_close(handle->sockets);
        return false;
    }
    handle->watch = watch_open(loop, sockets_descriptor(handle->sockets), on_ready, handle, failure);
    if (handle->watch == NULL) {
        napi_remove_async_cleanup_hook(handle->cleanup);
        sockets_close(handle->sockets);
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
    struct handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL) {
        fail(&failure, ENOMEM, "sockets");
        return throw_failure(env, &failure);
    }
    handle->env = env;
    handle->events = events;
    handle->most = (int)(length / 2);
    if (!attach(env, handle, values[0], values[1], &failure)) {
        free(handle);
        return throw_failure(env, &failure);
    }
    if (napi_create_object(env, &methods) != napi_ok ||
        !export_all(env, methods, METHODS, sizeof METHODS / sizeof METHODS[0], handle)) {
        return NULL;
    }
    return methods;
}

bool export_sockets(napi_env env, napi_value exports)
{
    static const struct export list[] = {{"openSockets", open_sockets}};
    return export_all(env, exports, list, sizeof list / sizeof list[0], NULL);
}
