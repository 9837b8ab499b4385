/*
 * Packets of a TUN for JavaScript: lent as they were read, written as they are given, and counted. See binding_tun.h.
 */
#include "binding_tun.h"

#include <errno.h>

#include "intake.h"

/* (handle, take: (slab, bytes, rows, count of rows) => void): lends one slab for the time of the call. Returns whether
 * there was one; after false, onReady will come. */
static napi_value drain(napi_env env, napi_callback_info info)
{
    napi_value arguments[2];
    struct tun *tun;
    if (!take_arguments(env, info, 2, arguments) || (tun = take_tun(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    if (tun->reader == NULL) return boolean(env, false);
    unsigned index;
    const struct slab *slab = reader_claim(tun->reader, &index);
    if (slab == NULL) return boolean(env, false);

    napi_value given[4];
    napi_status status = napi_get_reference_value(env, tun->slabs[index], &given[0]);
    if (status == napi_ok) status = napi_create_uint32(env, (uint32_t)slab->used, &given[1]);
    if (status == napi_ok) status = napi_get_reference_value(env, tun->rows[index], &given[2]);
    if (status == napi_ok) status = napi_create_uint32(env, (uint32_t)slab->row_count, &given[3]);
    if (status == napi_ok) status = napi_call_function(env, undefined(env), arguments[1], 4, given, NULL);
    if (tun->reader != NULL) reader_release(tun->reader, index);
    return status == napi_ok ? boolean(env, true) : NULL;
}

/* (handle, run, start, end, segment): returns the bytes consumed, all of them unless it throws. */
static napi_value write_packets(napi_env env, napi_callback_info info)
{
    napi_value arguments[5];
    struct tun *tun;
    void *data;
    size_t length;
    uint32_t start;
    uint32_t end;
    uint32_t segment;
    if (!take_arguments(env, info, 5, arguments) || (tun = take_tun(env, arguments[0])) == NULL ||
        napi_get_buffer_info(env, arguments[1], &data, &length) != napi_ok ||
        !take_uint32(env, arguments[2], &start) || !take_uint32(env, arguments[3], &end) ||
        !take_uint32(env, arguments[4], &segment) || start > end || end > length) {
        return throw_argument(env);
    }
    if (tun->device.fd < 0) return throw_closed(env, "write");

    size_t wanted = end - start;
    size_t consumed = packets_write(&tun->packets, (const uint8_t *)data + start, wanted, segment);
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
    struct tun *tun;
    struct whole_destination destination;
    uint32_t segment;
    uint32_t least;
    if (!take_arguments(env, info, 4, arguments) || (tun = take_tun(env, arguments[0])) == NULL ||
        !take_bytes(env, arguments[1], destination.address, sizeof destination.address) ||
        !take_uint32(env, arguments[2], &segment) || !take_uint32(env, arguments[3], &least)) {
        return throw_argument(env);
    }
    destination.segment = segment;
    destination.least = least;
    if (tun->packets.intake != NULL) whole_keep(intake_whole(tun->packets.intake), &destination);
    return undefined(env);
}

/* (handle) */
static napi_value cut_all(napi_env env, napi_callback_info info)
{
    napi_value arguments[1];
    struct tun *tun;
    if (!take_arguments(env, info, 1, arguments) || (tun = take_tun(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    if (tun->packets.intake != NULL) whole_forget_all(intake_whole(tun->packets.intake));
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
    struct tun *tun;
    napi_value result;
    if (!take_arguments(env, info, 1, arguments) || (tun = take_tun(env, arguments[0])) == NULL) {
        return throw_argument(env);
    }
    if (napi_create_object(env, &result) != napi_ok) return NULL;
    for (unsigned which = 0; which < COUNTERS; which++) {
        uint64_t value = atomic_load_explicit(&tun->packets.counters.of[which], memory_order_relaxed);
        set_number(env, result, names[which], (double)value);
    }
    return result;
}

bool export_tun_packets(napi_env env, napi_value exports)
{
    static const struct export list[] = {
        {"drain", drain},    {"writePackets", write_packets}, {"keepWhole", keep_whole},
        {"cutAll", cut_all}, {"counters", read_counters},
    };
    return export_all(env, exports, list, sizeof list / sizeof list[0], NULL);
}
