/* A kernel, seen through LD_PRELOAD, that knows virtio headers and grants no offload to a TUN device. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>

int ioctl(int fd, unsigned long request, ...)
{
    static int (*next)(int, unsigned long, ...);
    if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, "ioctl");
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (request == TUNSETOFFLOAD && argument != NULL) {
        errno = EINVAL;
        return -1;
    }
    return next(fd, request, argument);
}
