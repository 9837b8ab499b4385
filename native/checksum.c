/*
 * One loop, compiled twice where the processor may have wider registers. See checksum.h.
 */
#include "checksum.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

typedef uint64_t add_function(uint64_t sum, const uint8_t *bytes, size_t length);
typedef uint64_t copy_function(uint64_t sum, uint8_t *to, const uint8_t *from, size_t length);

/* 32-bit words in 64-bit sums: carries cannot be lost, and compilers make vectors of it. */
static inline __attribute__((always_inline)) uint64_t add_words(uint64_t sum, const uint8_t *bytes, size_t length)
{
    size_t at = 0;
    for (; at + 4 <= length; at += 4) {
        uint32_t word;
        memcpy(&word, bytes + at, 4);
        sum += word;
    }
    if (at + 2 <= length) {
        uint16_t word;
        memcpy(&word, bytes + at, 2);
        sum += word;
        at += 2;
    }
    if (at < length) {
        uint16_t word = 0;
        memcpy(&word, bytes + at, 1);
        sum += word;
    }
    return sum;
}

static inline __attribute__((always_inline)) uint64_t copy_words(uint64_t sum, uint8_t *restrict to,
                                                                  const uint8_t *restrict from, size_t length)
{
    size_t whole = length & ~(size_t)3;
    for (size_t at = 0; at < whole; at += 4) {
        uint32_t word;
        memcpy(&word, from + at, 4);
        memcpy(to + at, &word, 4);
        sum += word;
    }
    memcpy(to + whole, from + whole, length - whole);
    return add_words(sum, from + whole, length - whole);
}

static uint64_t add_plain(uint64_t sum, const uint8_t *bytes, size_t length)
{
    return add_words(sum, bytes, length);
}

static uint64_t copy_plain(uint64_t sum, uint8_t *to, const uint8_t *from, size_t length)
{
    return copy_words(sum, to, from, length);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t add_avx2(uint64_t sum, const uint8_t *bytes, size_t length)
{
    return add_words(sum, bytes, length);
}

__attribute__((target("avx2"))) static uint64_t copy_avx2(uint64_t sum, uint8_t *to, const uint8_t *from,
                                                          size_t length)
{
    return copy_words(sum, to, from, length);
}

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}
#endif

static add_function *add = add_plain;
static copy_function *copy = copy_plain;

__attribute__((constructor)) static void choose(void)
{
#if defined(__x86_64__)
    if (!has_avx2()) return;
    add = add_avx2;
    copy = copy_avx2;
#endif
}

uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t length)
{
    return add(sum, bytes, length);
}

uint64_t checksum_copy(uint64_t sum, uint8_t *to, const uint8_t *from, size_t length)
{
    return copy(sum, to, from, length);
}

uint64_t checksum_pseudo(const uint8_t *addresses, size_t length, uint8_t protocol)
{
    return add_words((uint64_t)htons((uint16_t)length) + htons(protocol), addresses, 32);
}

uint16_t checksum_fold(uint64_t sum)
{
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint16_t checksum_final(uint64_t sum)
{
    uint16_t folded = (uint16_t)~checksum_fold(sum);
    return folded == 0 ? 0xffff : folded;
}
