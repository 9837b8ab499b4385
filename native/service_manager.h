/*
 * One message to the service manager that started this process, as sd_notify(3) sends it. Knows nothing of JavaScript, nor of
 * what the message says.
 */
#ifndef GARLIGATE_SERVICE_MANAGER_H
#define GARLIGATE_SERVICE_MANAGER_H

#include <stdbool.h>

#include "failure.h"

/* What fits into a socket's address, with its end. */
enum { MANAGER_ADDRESS_SIZE = 108 };

/* `address` is a path, or with @ as its first character a name in the abstract namespace. Never waits. */
bool tell_service_manager(const char *address, const char *message, struct failure *failure);

#endif
