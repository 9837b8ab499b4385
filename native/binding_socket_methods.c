/*
 * The methods of a set of sockets: arguments of JavaScript taken apart, and results put into numbers. See
 * binding_sockets.h.
 */
#include "binding_sockets.h"

#include <errno.h>

#include "binding_socket_address.h"

/* Written in one call. */
enum { MOST_PARTS = 64 };

static void hold_environment(struct socket_set *set)
{
    bool hold = sockets_count(set->sockets) > 0;
    if (hold == set->holds_environment) return;
    set->holds_environment = hold;
    watch_hold(set->watch, hold);
}

/* NULL: not what was expected, and an error is thrown. */
static struct socket_set *take_call(napi_env env, napi_callback_info info, size_t count, napi_value *values)
{
    size_t given = count;
    void *data;
    if (napi_get_cb_info(env, info, &given, values, NULL, &data) == napi_ok && given >= count) return data;
    throw_argument(env);
    return NULL;
}

/* The same for methods of one socket, whose first argument is its place. */
static struct socket_set *take_socket_call(napi_env env, napi_callback_info info, size_t count, napi_value *values,
                                           uint32_t *place)
{
    struct socket_set *set = take_call(env, info, count, values);
    if (set == NULL || take_uint32(env, values[0], place)) return set;
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

/* To be called after everything that changes the number of sockets. */
static int counted(struct socket_set *set, int result)
{
    int error = errno;
    hold_environment(set);
    errno = error;
    return result;
}

static napi_value listen_at(napi_env env, struct socket_set *set, const struct sockaddr_storage *address,
                            socklen_t length, napi_value backlog)
{
    uint32_t most;
    if (!take_uint32(env, backlog, &most)) return throw_argument(env);
    int place = sockets_listen(set->sockets, (const struct sockaddr *)address, length, (int)most);
    return answer(env, counted(set, place), "listen");
}

/* (address, port, backlog) */
static napi_value listen_tcp(napi_env env, napi_callback_info info)
{
    napi_value values[3];
    struct sockaddr_storage address;
    socklen_t length;
    struct socket_set *set = take_call(env, info, 3, values);
    if (set == NULL) return NULL;
    if (!take_tcp_address(env, values, &address, &length)) return throw_argument(env);
    return listen_at(env, set, &address, length, values[2]);
}

/* (path, backlog) */
static napi_value listen_unix(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    struct sockaddr_storage address;
    socklen_t length;
    struct socket_set *set = take_call(env, info, 2, values);
    if (set == NULL) return NULL;
    if (!take_path_address(env, values[0], &address, &length)) return throw_argument(env);
    return listen_at(env, set, &address, length, values[1]);
}

/* (listener) */
static napi_value accept_client(napi_env env, napi_callback_info info)
{
    napi_value values[1];
    uint32_t listener;
    struct socket_set *set = take_socket_call(env, info, 1, values, &listener);
    if (set == NULL) return NULL;
    return answer_now(env, counted(set, sockets_accept(set->sockets, listener)), "accept");
}

static napi_value connect_at(napi_env env, struct socket_set *set, const struct sockaddr_storage *address,
                             socklen_t length)
{
    int place = sockets_connect(set->sockets, (const struct sockaddr *)address, length);
    return answer(env, counted(set, place), "connect");
}

/* (address, port) */
static napi_value connect_tcp(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    struct sockaddr_storage address;
    socklen_t length;
    struct socket_set *set = take_call(env, info, 2, values);
    if (set == NULL) return NULL;
    if (!take_tcp_address(env, values, &address, &length)) return throw_argument(env);
    return connect_at(env, set, &address, length);
}

/* (path) */
static napi_value connect_unix(napi_env env, napi_callback_info info)
{
    napi_value values[1];
    struct sockaddr_storage address;
    socklen_t length;
    struct socket_set *set = take_call(env, info, 1, values);
    if (set == NULL) return NULL;
    if (!take_path_address(env, values[0], &address, &length)) return throw_argument(env);
    return connect_at(env, set, &address, length);
}

/* (place) */
static napi_value is_connected(napi_env env, napi_callback_info info)
{
    napi_value values[1];
    uint32_t place;
    struct socket_set *set = take_socket_call(env, info, 1, values, &place);
    if (set == NULL) return NULL;
    int connected = sockets_connected(set->sockets, place);
    return connected < 0 ? answer(env, -1, "connect") : boolean(env, connected == 1);
}

/* (place, what) */
static napi_value watch(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    uint32_t place;
    uint32_t what;
    struct socket_set *set = take_socket_call(env, info, 2, values, &place);
    if (set == NULL) return NULL;
    if (!take_uint32(env, values[1], &what)) return throw_argument(env);
    return answer(env, sockets_watch(set->sockets, place, what), "watch");
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
    struct socket_set *set = take_socket_call(env, info, 2, values, &place);
    if (set == NULL) return NULL;
    if (!take_memory(env, values[1], &part)) return throw_argument(env);
    return answer_now(env, sockets_read(set->sockets, place, part.iov_base, part.iov_len), "read");
}

/* (place, buffer) */
static napi_value write_bytes(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    uint32_t place;
    struct iovec part;
    struct socket_set *set = take_socket_call(env, info, 2, values, &place);
    if (set == NULL) return NULL;
    if (!take_memory(env, values[1], &part)) return throw_argument(env);
    return answer_now(env, sockets_write(set->sockets, place, &part, 1), "write");
}

/* (place, buffers): the first of them */
static napi_value write_parts(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    uint32_t place;
    uint32_t count;
    struct iovec parts[MOST_PARTS];
    struct socket_set *set = take_socket_call(env, info, 2, values, &place);
    if (set == NULL) return NULL;
    if (napi_get_array_length(env, values[1], &count) != napi_ok) return throw_argument(env);
    if (count > MOST_PARTS) count = MOST_PARTS;
    for (uint32_t at = 0; at < count; at++) {
        napi_value buffer;
        if (napi_get_element(env, values[1], at, &buffer) != napi_ok || !take_memory(env, buffer, &parts[at])) {
            return throw_argument(env);
        }
    }
    return answer_now(env, sockets_write(set->sockets, place, parts, count), "write");
}

/* (place) */
static napi_value finish(napi_env env, napi_callback_info info)
{
    napi_value values[1];
    uint32_t place;
    struct socket_set *set = take_socket_call(env, info, 1, values, &place);
    return set == NULL ? NULL : answer(env, sockets_finish(set->sockets, place), "finish");
}

/* (place, bytes) */
static napi_value limit_unsent(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    uint32_t place;
    uint32_t bytes;
    struct socket_set *set = take_socket_call(env, info, 2, values, &place);
    if (set == NULL) return NULL;
    if (!take_uint32(env, values[1], &bytes)) return throw_argument(env);
    return answer(env, sockets_limit_unsent(set->sockets, place, bytes), "unsent mark");
}

static napi_value address_of(napi_env env, napi_callback_info info, bool remote)
{
    napi_value values[1];
    napi_value text;
    uint32_t place;
    struct sockaddr_storage address;
    char shown[ADDRESS_TEXT_SIZE];
    struct socket_set *set = take_socket_call(env, info, 1, values, &place);
    if (set == NULL) return NULL;
    if (sockets_address(set->sockets, place, remote, &address) < 0) return undefined(env);
    if (!address_text(&address, shown)) return undefined(env);
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
    struct socket_set *set = take_socket_call(env, info, 1, values, &place);
    if (set == NULL) return NULL;
    int failed = sockets_address(set->sockets, place, false, &address);
    return answer(env, failed == 0 ? address_port(&address) : failed, "address");
}

/* (place, reset) */
static napi_value end(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    uint32_t place;
    bool reset;
    struct socket_set *set = take_socket_call(env, info, 2, values, &place);
    if (set == NULL) return NULL;
    if (napi_get_value_bool(env, values[1], &reset) != napi_ok) return throw_argument(env);
    return answer(env, counted(set, sockets_end(set->sockets, place, reset)), "close");
}

bool export_socket_methods(napi_env env, napi_value object, struct socket_set *set)
{
    static const struct export list[] = {
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
    return export_all(env, object, list, sizeof list / sizeof list[0], set);
}
