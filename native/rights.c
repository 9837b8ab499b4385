/*
 * The order of the steps, which the kernel dictates. See rights.h.
 */
#define _GNU_SOURCE
#include "rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct __user_cap_data_struct capability_sets[_LINUX_CAPABILITY_U32S_3];

static struct __user_cap_header_struct this_thread(void)
{
    return (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
}

static bool is_kept(uint32_t keep, unsigned long capability)
{
    return capability < 32 && (keep >> capability & 1) != 0;
}

/* Where the right to do this is missing there is nothing to take: no_new_privs has the same effect. */
static bool cut_bounding_set(uint32_t keep, struct failure *failure)
{
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
        if (is_kept(keep, capability)) continue;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
        return errno == EPERM ? true : fail(failure, errno, "bounding set");
    }
    return true;
}

/* The C library does this to every thread; that the capabilities outlast it is arranged for the calling one alone. */
static bool become(uid_t uid, gid_t gid, struct failure *failure)
{
    if (uid == geteuid()) return true;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return fail(failure, errno, "keep capabilities");
    if (setgroups(0, NULL) != 0) return fail(failure, errno, "groups");
    if (setresgid(gid, gid, gid) != 0) return fail(failure, errno, "group");
    if (setresuid(uid, uid, uid) != 0) return fail(failure, errno, "user");
    if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return fail(failure, errno, "keep capabilities");
    return true;
}

/* In the ambient set, programs that are started have them as well. */
static bool keep_capabilities(uint32_t keep, struct failure *failure)
{
    struct __user_cap_header_struct header = this_thread();
    capability_sets sets;
    if (syscall(SYS_capget, &header, sets) != 0) return fail(failure, errno, "capabilities");
    uint32_t kept = sets[0].permitted & keep;
    sets[0] = (struct __user_cap_data_struct){.effective = kept, .permitted = kept, .inheritable = kept};
    sets[1] = (struct __user_cap_data_struct){0};
    if (syscall(SYS_capset, &header, sets) != 0) return fail(failure, errno, "capabilities");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return fail(failure, errno, "ambient set");
    for (unsigned long capability = 0; capability < 32; capability++) {
        if (!is_kept(kept, capability)) continue;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) {
            return fail(failure, errno, "ambient set");
        }
    }
    return true;
}

/*
 * no_new_privs belongs to a thread, and only a seccomp filter that is synchronised carries it to the others. This filter
 * allows everything. A kernel without filters still has it for this thread, and so for every program that we start.
 */
static bool gain_nothing(struct failure *failure)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(failure, errno, "no new privileges");
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {.len = 1, .filter = &allow};
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
    if (result == 0) return true;
    if (result < 0 && (errno == ENOSYS || errno == EINVAL)) return true;
    return fail(failure, result < 0 ? errno : EBUSY, "no new privileges");
}

bool rights_give_up(uid_t uid, gid_t gid, uint32_t keep, struct failure *failure)
{
    return cut_bounding_set(keep, failure) && become(uid, gid, failure) && keep_capabilities(keep, failure) &&
           gain_nothing(failure);
}

bool rights_forbid_core_dumps(struct failure *failure)
{
    static const struct rlimit nothing = {0, 0};
    if (setrlimit(RLIMIT_CORE, &nothing) != 0) return fail(failure, errno, "core dumps");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail(failure, errno, "core dumps");
    return true;
}
