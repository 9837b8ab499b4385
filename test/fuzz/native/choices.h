/*
 * Decisions out of the bytes of an input: which packets are made, which errors the kernel gives. Where the input has ended
 * every decision is the ordinary one, so that any bytes are a whole input and fewer of them a simpler one.
 */
#ifndef GARLIGATE_FUZZ_CHOICES_H
#define GARLIGATE_FUZZ_CHOICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choices {
    const uint8_t *at;
    const uint8_t *end;
};

static inline uint8_t choose_byte(struct choices *choices)
{
    return choices->at < choices->end ? *choices->at++ : 0;
}

/* 0 to below `limit`; 0 is the ordinary one. */
static inline uint32_t choose(struct choices *choices, uint32_t limit)
{
    uint32_t value = choose_byte(choices);
    for (uint32_t reach = 256; reach < limit && reach != 0; reach <<= 8) value = value << 8 | choose_byte(choices);
    return limit == 0 ? 0 : value % limit;
}

/* Once in `times`, which is at most 256. */
static inline bool rarely(struct choices *choices, uint32_t times)
{
    return choose_byte(choices) >= 256 - 256 / times;
}

static inline uint32_t one_of(struct choices *choices, const uint32_t *values, size_t count)
{
    return values[choose(choices, (uint32_t)count)];
}

#endif
