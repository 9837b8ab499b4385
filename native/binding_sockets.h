/*
 * sockets.h for JavaScript: one object whose methods know their set of sockets. The set lives as long as its environment
 * (main thread or worker), and keeps that alive while it has sockets, as Node's own do.
 */
#ifndef GARLIGATE_BINDING_SOCKETS_H
#define GARLIGATE_BINDING_SOCKETS_H

#include "binding.h"
#include "event_loop.h"
#include "sockets.h"

struct socket_set {
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

/* Gives the object a method for each step with a socket (src/io/native-sockets.ts). */
bool export_socket_methods(napi_env env, napi_value object, struct socket_set *set);

#endif
