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

/* Each piece of the kernel has a header of struct virtio_net_hdr before it as soon as this flag is set, whatever the
 * offloads are. */
static bool set_flags(int fd, const char *name, bool headers)
{
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, name, IF_NAMESIZE - 1);
    request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | (headers ? IFF_VNET_HDR : 0));
    return ioctl(fd, TUNSETIFF, &request) == 0;
}

/* The two of UDP can only be had together, and only on top of those of TCP. */
static enum offload set_offload(int fd, enum offload wanted)
{
    const unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    if (wanted == OFFLOAD_TCP_UDP && ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0) return wanted;
    return wanted != OFFLOAD_NONE && ioctl(fd, TUNSETOFFLOAD, tcp) == 0 ? OFFLOAD_TCP : OFFLOAD_NONE;
}

/* A persistent device keeps size and byte order of the headers of whoever had it last. Ours are the plain ones, in the
 * order of this machine. */
static bool set_header(int fd)
{
    int size = sizeof(struct virtio_net_hdr), off = 0;
    if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(fd, TUNSETVNETLE, &off) < 0) return false;
    /* EINVAL comes from a kernel in which nobody can have asked for this one. */
    return ioctl(fd, TUNSETVNETBE, &off) == 0 || errno == EINVAL;
}

static bool open_node(struct device *device, struct failure *failure)
{
    device->fd = open(DEVICE_NODE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return device->fd >= 0 || fail(failure, errno, "node");
}

static bool attach(struct device *device, const char *name, enum offload wanted, struct failure *failure)
{
    struct ifreq request;
    memset(&request, 0, sizeof request);
    if (!set_flags(device->fd, name, wanted != OFFLOAD_NONE)) return fail(failure, errno, "attach");
    if (wanted != OFFLOAD_NONE && !set_header(device->fd)) return fail(failure, errno, "offload");
    device->offload = set_offload(device->fd, wanted);
    if (device->offload == OFFLOAD_NONE && wanted != OFFLOAD_NONE) {
        /* A descriptor is attached but once. */
        device_close(device);
        return open_node(device, failure) && attach(device, name, OFFLOAD_NONE, failure);
    }
    /* A persistent device keeps the offloads of whoever had it last; without them the kernel hands us whole packets
     * with complete checksums. */
    if (device->offload == OFFLOAD_NONE && ioctl(device->fd, TUNSETOFFLOAD, 0UL) < 0)
        return fail(failure, errno, "offload");

    if (ioctl(device->fd, TUNGETIFF, &request) < 0) return fail(failure, errno, "attach");
    device->persistent = (request.ifr_flags & IFF_PERSIST) != 0;
    memcpy(device->name, request.ifr_name, IF_NAMESIZE);
    device->name[IF_NAMESIZE - 1] = '\0';

    device->index = if_nametoindex(device->name);
    return device->index != 0 || fail(failure, errno, "attach");
}

bool device_open(struct device *device, const char *name, enum offload wanted, struct failure *failure)
{
    memset(device, 0, sizeof *device);
    device->fd = -1;
    if (strlen(name) >= IF_NAMESIZE) return fail(failure, EINVAL, "attach");

    device->existed = if_nametoindex(name) != 0;
    if (!open_node(device, failure)) return false;
    if (attach(device, name, wanted, failure)) return true;
    device_close(device);
    return false;
}

void device_close(struct device *device)
{
    if (device->fd >= 0) close(device->fd);
    device->fd = -1;
}
