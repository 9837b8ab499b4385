/*
 * What a process may do: gives rights up for good, and keeps its memory out of core dumps. Knows nothing of JavaScript.
 */
#ifndef GARLIGATE_RIGHTS_H
#define GARLIGATE_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "failure.h"

/*
 * Becomes this user, without any further group, and keeps of its capabilities those of the mask `keep` (1 << CAP_*), as
 * far as it has them. They are kept by the calling thread and passed on to the programs that it starts; when the user
 * changes, every other thread loses all. No thread can gain a right afterwards, not by a program either (no_new_privs).
 *
 * For our own `uid` the groups stay, and other threads keep the capabilities that they were started with.
 *
 * After a failure some rights may be gone already: the process can only be ended.
 */
bool rights_give_up(uid_t uid, gid_t gid, uint32_t keep, struct failure *failure);

/*
 * Neither the kernel nor a program that it hands core dumps to gets to see our memory, and no process of the same user
 * may look at it either. To be called again when the user has changed, since the kernel then forgets the latter.
 */
bool rights_forbid_core_dumps(struct failure *failure);

#endif
