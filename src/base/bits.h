/* A double's bits, and choices without branches. */
#ifndef MF_BITS_H
#define MF_BITS_H

#include <stdint.h>
#include <string.h>

#include "base/hints.h"

MF_INLINE uint64_t mf_bits(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
MF_INLINE double mf_from_bits(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }

/* condition ? a : b of numbers that are both computed, as bits: GCC makes branches, and no SIMD code,
 * of a condition that is the same in all lanes. */
MF_INLINE double mf_select(uint64_t condition, double a, double b) {
    const uint64_t mask = 0 - condition;
    return mf_from_bits((mf_bits(a) & mask) | (mf_bits(b) & ~mask));
}
#define MF_SELECT(condition, a, b) mf_select((uint64_t)(condition), a, b)

#endif
