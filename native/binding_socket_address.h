/* Addresses of sockets: from JavaScript for the kernel, and from the kernel as a person writes them. */
#ifndef GARLIGATE_BINDING_SOCKET_ADDRESS_H
#define GARLIGATE_BINDING_SOCKET_ADDRESS_H

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "binding.h"

/* With "%" and the interface behind it. */
enum { ADDRESS_TEXT_SIZE = INET6_ADDRSTRLEN + 1 + IF_NAMESIZE };

/* `values`: an address of 4 or 16 bytes and a port. */
bool take_tcp_address(napi_env env, const napi_value *values, struct sockaddr_storage *address, socklen_t *length);
bool take_path_address(napi_env env, napi_value path, struct sockaddr_storage *address, socklen_t *length);

/* Returns false for a unix socket, which has none. */
bool address_text(const struct sockaddr_storage *address, char text[ADDRESS_TEXT_SIZE]);

/* Returns 0 for a unix socket. */
uint16_t address_port(const struct sockaddr_storage *address);

#endif
