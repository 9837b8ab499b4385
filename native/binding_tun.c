/*
 * The life of a TUN in JavaScript: opened, read by a thread, closed. See binding_tun.h.
 */
#include "binding_tun.h"

#include <errno.h>
#include <stdlib.h>

enum { SLAB_SIZE = 512 * 1024, SLAB_ROWS = 4096 };

static const napi_type_tag HANDLE_TAG = {0x9c1e5f7a3b6d4e21ULL, 0xb5d2847f60a91c3eULL};

static void forget(napi_env env, napi_ref *reference)
{
    if (*reference != NULL) napi_delete_reference(env, *reference);
    *reference = NULL;
}

static void forget_all(struct tun *tun)
{
    for (unsigned index = 0; index < READER_SLABS; index++) {
        forget(tun->env, &tun->slabs[index]);
        forget(tun->env, &tun->rows[index]);
    }
    forget(tun->env, &tun->on_lost);
    forget(tun->env, &tun->self);
}

/* Idempotent. Also called from inside a callback of ours: nothing may use the reader after any call into JavaScript
 * without looking again. */
static void close_all(void *argument)
{
    struct tun *tun = argument;
    if (tun->reader != NULL) {
        reader_stop(tun->reader);
        tun->reader = NULL;
        napi_release_threadsafe_function(tun->events, napi_tsfn_abort);
        napi_remove_env_cleanup_hook(tun->env, close_all, tun);
        forget_all(tun);
    }
    packets_close(&tun->packets);
    device_close(&tun->device);
}

static void finalize_tun(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    close_all(data);
    free(data);
}

struct tun *take_tun(napi_env env, napi_value value)
{
    bool ours = false;
    void *data;
    if (napi_check_object_type_tag(env, value, &HANDLE_TAG, &ours) != napi_ok || !ours) return NULL;
    return napi_unwrap(env, value, &data) == napi_ok ? data : NULL;
}

napi_value throw_closed(napi_env env, const char *stage)
{
    struct failure failure;
    fail(&failure, EBADF, stage);
    return throw_failure(env, &failure);
}

/* (name, offload: most that is wanted) */
static napi_value open_tun(napi_env env, napi_callback_info info)
{
    napi_value arguments[2];
    char name[64];
    uint32_t offload;
    if (!take_arguments(env, info, 2, arguments) || !take_text(env, arguments[0], name, sizeof name) ||
        !take_uint32(env, arguments[1], &offload) || offload > OFFLOAD_TCP_UDP) {
        return throw_argument(env);
    }
    struct failure failure;
    struct tun *tun = calloc(1, sizeof *tun);
    if (tun == NULL) {
        fail(&failure, ENOMEM, "attach");
        return throw_failure(env, &failure);
    }
    tun->env = env;
    if (!device_open(&tun->device, name, (enum offload)offload, &failure)) {
        free(tun);
        return throw_failure(env, &failure);
    }
    if (!packets_open(&tun->packets, tun->device.fd, tun->device.offload)) {
        fail(&failure, ENOMEM, "attach");
        close_all(tun);
        free(tun);
        return throw_failure(env, &failure);
    }

    napi_value object;
    napi_value result;
    if (napi_create_object(env, &object) != napi_ok ||
        napi_wrap(env, object, tun, finalize_tun, NULL, NULL) != napi_ok) {
        finalize_tun(env, tun, NULL);
        return NULL;
    }
    if (napi_type_tag_object(env, object, &HANDLE_TAG) != napi_ok || napi_create_object(env, &result) != napi_ok) {
        return NULL;
    }
    napi_set_named_property(env, result, "handle", object);
    set_text(env, result, "name", tun->device.name);
    set_number(env, result, "index", tun->device.index);
    set_number(env, result, "offload", tun->device.offload);
    set_boolean(env, result, "existed", tun->device.existed);
    set_boolean(env, result, "persistent", tun->device.persistent);
    return result;
}

/* Both notifications run on the reading thread. The queue is unbounded and still never holds more than three entries:
 * the reader repeats neither of them by itself. The errno travels as the data pointer, 0 for packets. */
static void notify_ready(void *context)
{
    struct tun *tun = context;
    napi_call_threadsafe_function(tun->events, NULL, napi_tsfn_nonblocking);
}

static void notify_lost(void *context, int error)
{
    struct tun *tun = context;
    napi_call_threadsafe_function(tun->events, (void *)(intptr_t)error, napi_tsfn_nonblocking);
}

static void call_javascript(napi_env env, napi_value on_ready, void *context, void *data)
{
    struct tun *tun = context;
    /* Without an environment the queue is only being emptied, and the handle may be gone. */
    if (env == NULL || tun->reader == NULL) return;

    int error = (int)(intptr_t)data;
    napi_value function = on_ready;
    napi_value code;
    if (error != 0 && (napi_get_reference_value(env, tun->on_lost, &function) != napi_ok ||
                       napi_create_string_utf8(env, error_name(error), NAPI_AUTO_LENGTH, &code) != napi_ok)) {
        return;
    }
    if (napi_call_function(env, undefined(env), function, error == 0 ? 0 : 1, &code, NULL) !=
        napi_pending_exception) {
        return;
    }
    /* Otherwise Node 20 swallows what a callback from another thread throws. */
    napi_value thrown;
    if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
}

static bool make_slab(struct tun *tun, unsigned index, struct slab *slab)
{
    napi_value buffer;
    napi_value memory;
    napi_value rows;
    void *bytes;
    void *row_bytes;
    if (napi_create_buffer(tun->env, SLAB_SIZE, &bytes, &buffer) != napi_ok ||
        napi_create_reference(tun->env, buffer, 1, &tun->slabs[index]) != napi_ok ||
        napi_create_arraybuffer(tun->env, SLAB_ROWS * sizeof(struct row), &row_bytes, &memory) != napi_ok ||
        napi_create_typedarray(tun->env, napi_uint32_array, 2 * SLAB_ROWS, memory, 0, &rows) != napi_ok ||
        napi_create_reference(tun->env, rows, 1, &tun->rows[index]) != napi_ok) {
        return false;
    }
    *slab = (struct slab){.bytes = bytes, .size = SLAB_SIZE, .rows = row_bytes, .most_rows = SLAB_ROWS};
    return true;
}

static bool make_slabs(struct tun *tun, struct slab slabs[READER_SLABS])
{
    for (unsigned index = 0; index < READER_SLABS; index++) {
        if (!make_slab(tun, index, &slabs[index])) return false;
    }
    return true;
}

static bool make_events(struct tun *tun, napi_value on_ready)
{
    napi_value name;
    return napi_create_string_utf8(tun->env, "garligate:tun", NAPI_AUTO_LENGTH, &name) == napi_ok &&
           napi_create_threadsafe_function(tun->env, on_ready, NULL, name, 0, 1, NULL, NULL, tun,
                                           call_javascript, &tun->events) == napi_ok;
}

/* (handle, onReady, onLost) */
static napi_value start_reading(napi_env env, napi_callback_info info)
{
    napi_value arguments[3];
    struct tun *tun;
    if (!take_arguments(env, info, 3, arguments) || (tun = take_tun(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    if (tun->device.fd < 0 || tun->reader != NULL) return throw_closed(env, "reader");

    struct slab slabs[READER_SLABS];
    if (napi_create_reference(env, arguments[0], 1, &tun->self) != napi_ok ||
        napi_create_reference(env, arguments[2], 1, &tun->on_lost) != napi_ok || !make_slabs(tun, slabs) ||
        !make_events(tun, arguments[1])) {
        forget_all(tun);
        return throw_argument(env);
    }
    struct failure failure;
    fail(&failure, ENOMEM, "reader");
    /* First of the two: a thread must not outlive its environment. */
    bool hooked = napi_add_env_cleanup_hook(env, close_all, tun) == napi_ok;
    const struct reader_notify notify = {.context = tun, .ready = notify_ready, .lost = notify_lost};
    if (hooked) tun->reader = reader_start(&tun->packets, slabs, &notify, &failure);
    if (tun->reader == NULL) {
        if (hooked) napi_remove_env_cleanup_hook(env, close_all, tun);
        napi_release_threadsafe_function(tun->events, napi_tsfn_abort);
        forget_all(tun);
        return throw_failure(env, &failure);
    }
    return undefined(env);
}

static napi_value close_tun(napi_env env, napi_callback_info info)
{
    napi_value arguments[1];
    struct tun *tun;
    if (!take_arguments(env, info, 1, arguments) || (tun = take_tun(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    close_all(tun);
    return undefined(env);
}

bool export_tun(napi_env env, napi_value exports)
{
    static const struct export list[] = {{"open", open_tun}, {"start", start_reading}, {"close", close_tun}};
    return export_all(env, exports, list, sizeof list / sizeof list[0], NULL) && export_tun_packets(env, exports);
}
