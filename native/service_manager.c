#include "service_manager.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool tell_service_manager(const char *address, const char *message, struct failure *failure)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t length = strlen(address);
    if (length == 0 || length >= sizeof to.sun_path) return fail(failure, ENAMETOOLONG, "address");
    memcpy(to.sun_path, address, length);
    if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);

    int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket_fd < 0) return fail(failure, errno, "socket");
    bool sent = sendto(socket_fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&to, size) >= 0;
    if (!sent) fail(failure, errno, "send");
    close(socket_fd);
    return sent;
}
