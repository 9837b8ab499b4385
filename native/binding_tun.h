/*
 * device.h, packets.h and reader.h for JavaScript: one handle that owns descriptor, thread, slabs and callbacks, and
 * gives all of them back at `close` or, whichever comes first, when its environment (main thread or worker) ends.
 */
#ifndef GARLIGATE_BINDING_TUN_H
#define GARLIGATE_BINDING_TUN_H

#include "binding.h"
#include "device.h"
#include "packets.h"
#include "reader.h"

struct tun {
    napi_env env;
    struct device device;
    struct packets packets;
    struct reader *reader;           /* NULL: not reading */
    napi_threadsafe_function events; /* the three below are set while reading */
    napi_ref self;                   /* keeps the handle, and so the interface, while the thread runs */
    napi_ref slabs[READER_SLABS];
    napi_ref rows[READER_SLABS]; /* an Uint32Array for each slab: bytes and packets, row by row */
    napi_ref on_lost;
};

/* The TUN behind a handle; NULL for anything else. */
struct tun *take_tun(napi_env env, napi_value handle);

/* Throws EBADF. */
napi_value throw_closed(napi_env env, const char *stage);

/* What is done with packets, as functions that take a handle. */
bool export_tun_packets(napi_env env, napi_value exports);

#endif
