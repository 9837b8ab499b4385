/*
 * A TUN device: opened, or taken over when it was made beforehand. Knows nothing of packets, addresses or JavaScript.
 */
#ifndef GARLIGATE_DEVICE_H
#define GARLIGATE_DEVICE_H

#include <net/if.h>
#include <stdbool.h>

#include "failure.h"
#include "offload.h"

struct device {
    int fd; /* non-blocking, closed on exec */
    unsigned index;
    bool existed;    /* the interface stood before we came */
    bool persistent; /* the interface stays when the descriptor is closed */
    enum offload offload;
    char name[IF_NAMESIZE];
};

/* `wanted` is the most that is asked for; a kernel that cannot do it gives less, see `device->offload`. */
bool device_open(struct device *device, const char *name, enum offload wanted, struct failure *failure);

/* Closing the descriptor is what removes an interface that is not persistent. Idempotent. */
void device_close(struct device *device);

#endif
