/*
 * What leaves this machine, by whichever interface: the beginnings of packets as the kernel hands them to the devices
 * (packet(7)). Looks on, and holds nothing up. Needs CAP_NET_RAW.
 */
#define _GNU_SOURCE
#include "binding.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes of each packet: headers, and a question for a name. */
enum { SNAP = 512 };
/* Packets in one call. */
enum { MOST_AT_ONCE = 256 };
/* The kernel keeps so much until it is read; what comes on top is counted by it. */
enum { WAITING_BYTES = 4 * 1024 * 1024 };

static const napi_type_tag HANDLE_TAG = {0x1f6b20c48d9e4b37ULL, 0xa2d07c5e3b914f86ULL};

struct capture {
    int descriptor; /* -1: closed */
};

static void close_capture_of(struct capture *capture)
{
    if (capture->descriptor >= 0) close(capture->descriptor);
    capture->descriptor = -1;
}

static void finalize_capture(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    close_capture_of(data);
    free(data);
}

static struct capture *take_capture(napi_env env, napi_value value)
{
    bool ours = false;
    void *data;
    if (napi_check_object_type_tag(env, value, &HANDLE_TAG, &ours) != napi_ok || !ours) return NULL;
    return napi_unwrap(env, value, &data) == napi_ok ? data : NULL;
}

static bool open_socket(int *descriptor, struct failure *failure)
{
    /* Only what goes out, cut after SNAP bytes: the kernel throws the rest away before it costs anything. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SNAP),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog filter = {.len = sizeof code / sizeof code[0], .filter = code};
    int room = WAITING_BYTES;
    /* Protocol 0 hears nothing: the filter stands before the first packet. */
    int opened = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (opened < 0) return fail(failure, errno, "capture");
    struct sockaddr_ll everything = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    if (setsockopt(opened, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0 ||
        (setsockopt(opened, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0 &&
         setsockopt(opened, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) != 0) ||
        bind(opened, (const struct sockaddr *)&everything, sizeof everything) != 0) {
        int error = errno;
        close(opened);
        return fail(failure, error, "capture");
    }
    *descriptor = opened;
    return true;
}

static napi_value open_capture(napi_env env, napi_callback_info info)
{
    (void)info;
    struct failure failure;
    napi_value object;
    struct capture *capture = malloc(sizeof *capture);
    if (capture == NULL) {
        fail(&failure, ENOMEM, "capture");
        return throw_failure(env, &failure);
    }
    if (!open_socket(&capture->descriptor, &failure)) {
        free(capture);
        return throw_failure(env, &failure);
    }
    if (napi_create_object(env, &object) != napi_ok ||
        napi_wrap(env, object, capture, finalize_capture, NULL, NULL) != napi_ok) {
        close_capture_of(capture);
        free(capture);
        return NULL;
    }
    return napi_type_tag_object(env, object, &HANDLE_TAG) == napi_ok ? object : NULL;
}

static napi_value packet_of(napi_env env, const struct sockaddr_ll *way, const uint8_t *bytes, size_t length)
{
    char name[IF_NAMESIZE];
    napi_value packet;
    napi_value copy;
    if (napi_create_object(env, &packet) != napi_ok ||
        napi_create_buffer_copy(env, length, bytes, NULL, &copy) != napi_ok ||
        napi_set_named_property(env, packet, "bytes", copy) != napi_ok) {
        return NULL;
    }
    /* An interface that has gone meanwhile has no name any more. */
    if (if_indextoname((unsigned int)way->sll_ifindex, name) == NULL) name[0] = '\0';
    set_text(env, packet, "interface", name);
    return packet;
}

static napi_value read_capture(napi_env env, napi_callback_info info)
{
    napi_value argument;
    napi_value list;
    if (!take_arguments(env, info, 1, &argument)) return throw_argument(env);
    struct capture *capture = take_capture(env, argument);
    if (capture == NULL || capture->descriptor < 0) return throw_argument(env);
    if (napi_create_array(env, &list) != napi_ok) return NULL;
    for (uint32_t count = 0; count < MOST_AT_ONCE;) {
        uint8_t bytes[SNAP];
        struct sockaddr_ll way;
        socklen_t size = sizeof way;
        ssize_t length = recvfrom(capture->descriptor, bytes, sizeof bytes, 0, (struct sockaddr *)&way, &size);
        if (length < 0 && (errno == EINTR || errno == ENETDOWN)) continue; /* an interface went down: once for each */
        if (length < 0 && errno == EAGAIN) break;
        if (length < 0) {
            struct failure failure;
            fail(&failure, errno, "capture");
            return throw_failure(env, &failure);
        }
        napi_value packet = packet_of(env, &way, bytes, (size_t)length);
        if (packet == NULL || napi_set_element(env, list, count, packet) != napi_ok) return NULL;
        count++;
    }
    return list;
}

/* Since it was opened or last asked. */
static napi_value capture_missed(napi_env env, napi_callback_info info)
{
    napi_value argument;
    napi_value result;
    if (!take_arguments(env, info, 1, &argument)) return throw_argument(env);
    struct capture *capture = take_capture(env, argument);
    if (capture == NULL || capture->descriptor < 0) return throw_argument(env);
    struct tpacket_stats counts;
    socklen_t size = sizeof counts;
    if (getsockopt(capture->descriptor, SOL_PACKET, PACKET_STATISTICS, &counts, &size) != 0) {
        struct failure failure;
        fail(&failure, errno, "capture");
        return throw_failure(env, &failure);
    }
    return napi_create_uint32(env, counts.tp_drops, &result) == napi_ok ? result : NULL;
}

static napi_value close_capture(napi_env env, napi_callback_info info)
{
    napi_value argument;
    if (!take_arguments(env, info, 1, &argument)) return throw_argument(env);
    struct capture *capture = take_capture(env, argument);
    if (capture == NULL) return throw_argument(env);
    close_capture_of(capture);
    return undefined(env);
}

bool export_capture(napi_env env, napi_value exports)
{
    static const struct export list[] = {
        {"openCapture", open_capture},
        {"readCapture", read_capture},
        {"captureMissed", capture_missed},
        {"closeCapture", close_capture},
    };
    return export_all(env, exports, list, sizeof list / sizeof list[0], NULL);
}
