/* Hashing of small records. */
#ifndef MF_HASH_H
#define MF_HASH_H

#include <stdint.h>

/* splitmix64's mixing of an instruction: op, operands, and a number's bits. */
static inline uint64_t mf_mix(uint64_t op, uint64_t x, uint64_t y, uint64_t bits) {
    uint64_t h = op * 0x9E3779B97F4A7C15u ^ bits;
    h = (h ^ (h >> 30) ^ x) * 0xBF58476D1CE4E5B9u;
    h = (h ^ (h >> 27) ^ y) * 0x94D049BB133111EBu;
    return h ^ (h >> 31);
}

#endif
