/*
 * Options of sockets that Node has opened and offers no way to set.
 */
#include "binding.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* The kernel takes no more than so many bytes ahead of what it has sent (TCP_NOTSENT_LOWAT). */
static napi_value set_unsent_mark(napi_env env, napi_callback_info info)
{
    napi_value arguments[2];
    uint32_t descriptor;
    uint32_t bytes;
    if (!take_arguments(env, info, 2, arguments) || !take_uint32(env, arguments[0], &descriptor) ||
        !take_uint32(env, arguments[1], &bytes)) {
        return throw_argument(env);
    }
    if (setsockopt((int)descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes) == 0) return undefined(env);
    struct failure failure;
    fail(&failure, errno, "unsent mark");
    return throw_failure(env, &failure);
}

bool export_socket(napi_env env, napi_value exports)
{
    static const struct export list[] = {{"setUnsentMark", set_unsent_mark}};
    return export_all(env, exports, list, sizeof list / sizeof list[0]);
}
