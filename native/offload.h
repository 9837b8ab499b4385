/*
 * Numbers of the kernel's offload interface that are younger than the headers of Debian 12 (Linux 6.2).
 */
#ifndef GARLIGATE_OFFLOAD_H
#define GARLIGATE_OFFLOAD_H

#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* What passes between us and the kernel in larger pieces than packets. */
enum offload { OFFLOAD_NONE, OFFLOAD_TCP, OFFLOAD_TCP_UDP };

#endif
