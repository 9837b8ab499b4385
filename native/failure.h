/*
 * How the C core says that something failed: the errno, at which step, and the kernel's own words where it gave some.
 * Knows nothing of JavaScript.
 */
#ifndef GARLIGATE_FAILURE_H
#define GARLIGATE_FAILURE_H

#include <stdbool.h>

struct failure {
    int error;         /* errno */
    const char *stage; /* a stable word that src/io/tun-errors.ts reacts to */
    char detail[160];  /* the kernel's extended acknowledgement, or empty */
};

/* Always false, so that a failing step can be left with `return fail(...)`. */
static inline bool fail(struct failure *failure, int error, const char *stage)
{
    failure->error = error;
    failure->stage = stage;
    failure->detail[0] = '\0';
    return false;
}

#endif
