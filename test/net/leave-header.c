/*
 * Uses a persistent TUN device once, with headers of another size and in the other byte order than those of this machine
 * where the kernel can do that, and leaves it so: leave-header NAME SIZE. It is what a program that runs virtual machines
 * does to a device of its own.
 */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int count, char **words)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    if (count != 3) return 2;
    int size = atoi(words[2]), on = 1;
    strncpy(request.ifr_name, words[1], IFNAMSIZ - 1);
    int device = open("/dev/net/tun", O_RDWR);
    if (device < 0 || ioctl(device, TUNSETIFF, &request) != 0 || ioctl(device, TUNSETVNETHDRSZ, &size) != 0) {
        perror("leave-header");
        return 1;
    }
    /* Each is a change on machines of the other order alone, and most kernels have only the first. */
    ioctl(device, TUNSETVNETLE, &on);
    ioctl(device, TUNSETVNETBE, &on);
    return close(device);
}
