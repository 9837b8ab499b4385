/*
 * Opening and closing the TUN device. See device.h.
 */
#define _GNU_SOURCE
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char DEVICE_NODE[] = "/dev/net/tun";

static bool attach(struct device *device, const char *name, struct failure *failure)
{
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, name, IF_NAMESIZE - 1);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (ioctl(device->fd, TUNSETIFF, &request) < 0) return fail(failure, errno, "attach");

    /* A persistent device keeps the offloads of whoever had it last; without them the kernel hands us whole packets
     * with complete checksums. */
    if (ioctl(device->fd, TUNSETOFFLOAD, 0UL) < 0) return fail(failure, errno, "offload");

    if (ioctl(device->fd, TUNGETIFF, &request) < 0) return fail(failure, errno, "attach");
    device->persistent = (request.ifr_flags & IFF_PERSIST) != 0;
    memcpy(device->name, request.ifr_name, IF_NAMESIZE);
    device->name[IF_NAMESIZE - 1] = '\0';

    device->index = if_nametoindex(device->name);
    return device->index != 0 || fail(failure, errno, "attach");
}

bool device_open(struct device *device, const char *name, struct failure *failure)
{
    memset(device, 0, sizeof *device);
    device->fd = -1;
    if (strlen(name) >= IF_NAMESIZE) return fail(failure, EINVAL, "attach");

    device->existed = if_nametoindex(name) != 0;
    device->fd = open(DEVICE_NODE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device->fd < 0) return fail(failure, errno, "node");
    if (attach(device, name, failure)) return true;
    device_close(device);
    return false;
}

void device_close(struct device *device)
{
    if (device->fd >= 0) close(device->fd);
    device->fd = -1;
}
