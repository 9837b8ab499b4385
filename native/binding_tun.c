/*
 * device.h, packets.h and reader.h for JavaScript: one handle that owns descriptor, thread, slabs and callbacks, and
 * gives all of them back at `close` or, whichever comes first, when its environment (main thread or worker) ends.
 */
#include "binding.h"
#include "device.h"
#include "intake.h"
#include "packets.h"
#include "reader.h"

#include <errno.h>
#include <stdlib.h>

enum { SLAB_SIZE = 512 * 1024, SLAB_ROWS = 4096 };

static const napi_type_tag HANDLE_TAG = {0x9c1e5f7a3b6d4e21ULL, 0xb5d2847f60a91c3eULL};

struct handle {
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

static void forget(napi_env env, napi_ref *reference)
{
    if (*reference != NULL) napi_delete_reference(env, *reference);
    *reference = NULL;
}

static void forget_all(struct handle *handle)
{
    for (unsigned index = 0; index < READER_SLABS; index++) {
        forget(handle->env, &handle->slabs[index]);
        forget(handle->env, &handle->rows[index]);
    }
    forget(handle->env, &handle->on_lost);
    forget(handle->env, &handle->self);
}

/* Idempotent. Also called from inside a callback of ours: nothing may use the reader after any call into JavaScript
 * without looking again. */
static void close_handle(void *argument)
{
    struct handle *handle = argument;
    if (handle->reader != NULL) {
        reader_stop(handle->reader);
        handle->reader = NULL;
        napi_release_threadsafe_function(handle->events, napi_tsfn_abort);
        napi_remove_env_cleanup_hook(handle->env, close_handle, handle);
        forget_all(handle);
    }
    packets_close(&handle->packets);
    device_close(&handle->device);
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

static napi_value throw_closed(napi_env env, const char *stage)
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
    size_t length;
    uint32_t offload;
    if (!take_arguments(env, info, 2, arguments) ||
        napi_get_value_string_utf8(env, arguments[0], name, sizeof name, &length) != napi_ok ||
        !take_uint32(env, arguments[1], &offload) || offload > OFFLOAD_TCP_UDP) {
        return throw_argument(env);
    }
    struct failure failure;
    struct handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL) {
        fail(&failure, ENOMEM, "attach");
        return throw_failure(env, &failure);
    }
    handle->env = env;
    if (!device_open(&handle->device, name, (enum offload)offload, &failure)) {
        free(handle);
        return throw_failure(env, &failure);
    }
    if (!packets_open(&handle->packets, handle->device.fd, handle->device.offload)) {
        fail(&failure, ENOMEM, "attach");
        close_handle(handle);
        free(handle);
        return throw_failure(env, &failure);
    }

    napi_value object;
    napi_value result;
    if (napi_create_object(env, &object) != napi_ok ||
        napi_wrap(env, object, handle, finalize_handle, NULL, NULL) != napi_ok) {
        finalize_handle(env, handle, NULL);
        return NULL;
    }
    if (napi_type_tag_object(env, object, &HANDLE_TAG) != napi_ok || napi_create_object(env, &result) != napi_ok) {
        return NULL;
    }
    napi_set_named_property(env, result, "handle", object);
    set_text(env, result, "name", handle->device.name);
    set_number(env, result, "index", handle->device.index);
    set_number(env, result, "offload", handle->device.offload);
    set_boolean(env, result, "existed", handle->device.existed);
    set_boolean(env, result, "persistent", handle->device.persistent);
    return result;
}

/* Both notifications run on the reading thread. The queue is unbounded and still never holds more than three entries:
 * the reader repeats neither of them by itself. The errno travels as the data pointer, 0 for packets. */
static void notify_ready(void *context)
{
    struct handle *handle = context;
    napi_call_threadsafe_function(handle->events, NULL, napi_tsfn_nonblocking);
}

static void notify_lost(void *context, int error)
{
    struct handle *handle = context;
    napi_call_threadsafe_function(handle->events, (void *)(intptr_t)error, napi_tsfn_nonblocking);
}

static void call_javascript(napi_env env, napi_value on_ready, void *context, void *data)
{
    struct handle *handle = context;
    /* Without an environment the queue is only being emptied, and the handle may be gone. */
    if (env == NULL || handle->reader == NULL) return;

    int error = (int)(intptr_t)data;
    napi_value function = on_ready;
    napi_value code;
    if (error != 0 && (napi_get_reference_value(env, handle->on_lost, &function) != napi_ok ||
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

static bool make_slab(struct handle *handle, unsigned index, struct slab *slab)
{
    napi_value buffer;
    napi_value memory;
    napi_value rows;
    void *bytes;
    void *row_bytes;
    if (napi_create_buffer(handle->env, SLAB_SIZE, &bytes, &buffer) != napi_ok ||
        napi_create_reference(handle->env, buffer, 1, &handle->slabs[index]) != napi_ok ||
        napi_create_arraybuffer(handle->env, SLAB_ROWS * sizeof(struct row), &row_bytes, &memory) != napi_ok ||
        napi_create_typedarray(handle->env, napi_uint32_array, 2 * SLAB_ROWS, memory, 0, &rows) != napi_ok ||
        napi_create_reference(handle->env, rows, 1, &handle->rows[index]) != napi_ok) {
        return false;
    }
    *slab = (struct slab){.bytes = bytes, .size = SLAB_SIZE, .rows = row_bytes, .most_rows = SLAB_ROWS};
    return true;
}

static bool make_slabs(struct handle *handle, struct slab slabs[READER_SLABS])
{
    for (unsigned index = 0; index < READER_SLABS; index++) {
        if (!make_slab(handle, index, &slabs[index])) return false;
    }
    return true;
}

static bool make_events(struct handle *handle, napi_value on_ready)
{
    napi_value name;
    return napi_create_string_utf8(handle->env, "garligate:tun", NAPI_AUTO_LENGTH, &name) == napi_ok &&
           napi_create_threadsafe_function(handle->env, on_ready, NULL, name, 0, 1, NULL, NULL, handle,
                                           call_javascript, &handle->events) == napi_ok;
}

/* (handle, onReady, onLost) */
static napi_value start_reading(napi_env env, napi_callback_info info)
{
    napi_value arguments[3];
    struct handle *handle;
    if (!take_arguments(env, info, 3, arguments) || (handle = take_handle(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    if (handle->device.fd < 0 || handle->reader != NULL) return throw_closed(env, "reader");

    struct slab slabs[READER_SLABS];
    if (napi_create_reference(env, arguments[0], 1, &handle->self) != napi_ok ||
        napi_create_reference(env, arguments[2], 1, &handle->on_lost) != napi_ok || !make_slabs(handle, slabs) ||
        !make_events(handle, arguments[1])) {
        forget_all(handle);
        return throw_argument(env);
    }
    struct failure failure;
    fail(&failure, ENOMEM, "reader");
    /* First of the two: a thread must not outlive its environment. */
    bool hooked = napi_add_env_cleanup_hook(env, close_handle, handle) == napi_ok;
    const struct reader_notify notify = {.context = handle, .ready = notify_ready, .lost = notify_lost};
    if (hooked) handle->reader = reader_start(&handle->packets, slabs, &notify, &failure);
    if (handle->reader == NULL) {
        if (hooked) napi_remove_env_cleanup_hook(env, close_handle, handle);
        napi_release_threadsafe_function(handle->events, napi_tsfn_abort);
        forget_all(handle);
        return throw_failure(env, &failure);
    }
    return undefined(env);
}

/* (handle, take: (slab, bytes, rows, count of rows) => void): lends one slab for the time of the call. Returns whether there was one; after
 * false, onReady will come. */
static napi_value drain(napi_env env, napi_callback_info info)
{
    napi_value arguments[2];
    struct handle *handle;
    if (!take_arguments(env, info, 2, arguments) || (handle = take_handle(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    if (handle->reader == NULL) return boolean(env, false);
    unsigned index;
    const struct slab *slab = reader_claim(handle->reader, &index);
    if (slab == NULL) return boolean(env, false);

    napi_value given[4];
    napi_status status = napi_get_reference_value(env, handle->slabs[index], &given[0]);
    if (status == napi_ok) status = napi_create_uint32(env, (uint32_t)slab->used, &given[1]);
    if (status == napi_ok) status = napi_get_reference_value(env, handle->rows[index], &given[2]);
    if (status == napi_ok) status = napi_create_uint32(env, (uint32_t)slab->row_count, &given[3]);
    if (status == napi_ok) status = napi_call_function(env, undefined(env), arguments[1], 4, given, NULL);
    if (handle->reader != NULL) reader_release(handle->reader, index);
    return status == napi_ok ? boolean(env, true) : NULL;
}

/* (handle, run, start, end, segment): returns the bytes consumed, all of them unless it throws. */
static napi_value write_packets(napi_env env, napi_callback_info info)
{
    napi_value arguments[5];
    struct handle *handle;
    void *data;
    size_t length;
    uint32_t start;
    uint32_t end;
    uint32_t segment;
    if (!take_arguments(env, info, 5, arguments) || (handle = take_handle(env, arguments[0])) == NULL ||
        napi_get_buffer_info(env, arguments[1], &data, &length) != napi_ok ||
        !take_uint32(env, arguments[2], &start) || !take_uint32(env, arguments[3], &end) ||
        !take_uint32(env, arguments[4], &segment) || start > end || end > length) {
        return throw_argument(env);
    }
    if (handle->device.fd < 0) return throw_closed(env, "write");

    size_t wanted = end - start;
    size_t consumed = packets_write(&handle->packets, (const uint8_t *)data + start, wanted, segment);
    if (consumed != wanted) {
        struct failure failure;
        fail(&failure, EBADMSG, "write");
        return throw_failure(env, &failure);
    }
    napi_value result;
    return napi_create_uint32(env, (uint32_t)consumed, &result) == napi_ok ? result : NULL;
}

/* (handle, address, segment, least): see whole.h. Without offload there are no super-packets to keep. */
static napi_value keep_whole(napi_env env, napi_callback_info info)
{
    napi_value arguments[4];
    struct handle *handle;
    struct whole_destination destination;
    uint32_t segment;
    uint32_t least;
    if (!take_arguments(env, info, 4, arguments) || (handle = take_handle(env, arguments[0])) == NULL ||
        !take_bytes(env, arguments[1], destination.address, sizeof destination.address) ||
        !take_uint32(env, arguments[2], &segment) || !take_uint32(env, arguments[3], &least)) {
        return throw_argument(env);
    }
    destination.segment = segment;
    destination.least = least;
    if (handle->packets.intake != NULL) whole_keep(intake_whole(handle->packets.intake), &destination);
    return undefined(env);
}

/* (handle) */
static napi_value cut_all(napi_env env, napi_callback_info info)
{
    napi_value arguments[1];
    struct handle *handle;
    if (!take_arguments(env, info, 1, arguments) || (handle = take_handle(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    if (handle->packets.intake != NULL) whole_forget_all(intake_whole(handle->packets.intake));
    return undefined(env);
}

static napi_value read_counters(napi_env env, napi_callback_info info)
{
    static const char *const names[COUNTERS] = {
        [COUNT_READ_PACKETS] = "readPackets",
        [COUNT_READ_BYTES] = "readBytes",
        [COUNT_READ_NOT_IPV6] = "readNotIpv6",
        [COUNT_READ_BAD_LENGTH] = "readBadLength",
        [COUNT_READ_BAD_OFFLOAD] = "readBadOffload",
        [COUNT_WRITTEN_PACKETS] = "writtenPackets",
        [COUNT_WRITTEN_BYTES] = "writtenBytes",
        [COUNT_WRITE_INTERFACE_DOWN] = "writeInterfaceDown",
        [COUNT_WRITE_INTERFACE_GONE] = "writeInterfaceGone",
        [COUNT_WRITE_NO_MEMORY] = "writeNoMemory",
        [COUNT_WRITE_QUEUE_FULL] = "writeQueueFull",
        [COUNT_WRITE_TOO_BIG] = "writeTooBig",
        [COUNT_WRITE_REFUSED] = "writeRefused",
        [COUNT_READS] = "reads",
        [COUNT_WRITES] = "writes",
    };
    napi_value arguments[1];
    struct handle *handle;
    napi_value result;
    if (!take_arguments(env, info, 1, arguments) || (handle = take_handle(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    if (napi_create_object(env, &result) != napi_ok) return NULL;
    for (unsigned which = 0; which < COUNTERS; which++) {
        uint64_t value = atomic_load_explicit(&handle->packets.counters.of[which], memory_order_relaxed);
        set_number(env, result, names[which], (double)value);
    }
    return result;
}

static napi_value close_tun(napi_env env, napi_callback_info info)
{
    napi_value arguments[1];
    struct handle *handle;
    if (!take_arguments(env, info, 1, arguments) || (handle = take_handle(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    close_handle(handle);
    return undefined(env);
}

bool export_tun(napi_env env, napi_value exports)
{
    static const struct export list[] = {
        {"open", open_tun},   {"start", start_reading},    {"drain", drain},           {"writePackets", write_packets},
        {"close", close_tun}, {"counters", read_counters}, {"keepWhole", keep_whole},    {"cutAll", cut_all},
    };
    return export_all(env, exports, list, sizeof list / sizeof list[0], NULL);
}
