/* See binding_socket_address.h. */
#include "binding_socket_address.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

bool take_tcp_address(napi_env env, const napi_value *values, struct sockaddr_storage *address, socklen_t *length)
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

bool take_path_address(napi_env env, napi_value path, struct sockaddr_storage *address, socklen_t *length)
{
    struct sockaddr_un *local = (struct sockaddr_un *)address;
    memset(address, 0, sizeof *address);
    local->sun_family = AF_UNIX;
    *length = sizeof *local;
    return take_text(env, path, local->sun_path, sizeof local->sun_path);
}

bool address_text(const struct sockaddr_storage *address, char text[ADDRESS_TEXT_SIZE])
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    const void *bytes = address->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
                                                      : (const void *)&six->sin6_addr;
    if (inet_ntop(address->ss_family, bytes, text, INET6_ADDRSTRLEN) == NULL) return false;
    /* A link-local address says nothing without the link. */
    if (address->ss_family == AF_INET6 && six->sin6_scope_id != 0) {
        size_t length = strlen(text);
        text[length] = '%';
        if (if_indextoname(six->sin6_scope_id, text + length + 1) == NULL) text[length] = 0;
    }
    return true;
}

uint16_t address_port(const struct sockaddr_storage *address)
{
    if (address->ss_family != AF_INET && address->ss_family != AF_INET6) return 0;
    /* The port of an IPv4 address stands at the same place. */
    return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
}
