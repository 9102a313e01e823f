/* A seal: 64 bits that change when a bit of an array does, whichever it is. Each pair of numbers goes
 * through one product of 64 by 64 bits whose halves are folded together, so that a sign, the highest
 * bit, moves as many bits of the result as any other; products alone keep it in the highest bit,
 * where two signs cancel. Four streams hide the product's latency: as fast as memory is read. */
#ifndef MF_SEAL_H
#define MF_SEAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#endif

static inline uint64_t mf_fold(uint64_t a, uint64_t b) {
#if defined(__SIZEOF_INT128__)
    __extension__ const unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#elif defined(_MSC_VER) && defined(_M_X64)
    uint64_t high;
    const uint64_t low = _umul128(a, b, &high);
    return low ^ high;
#else
    const uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    const uint64_t low = al * bl, cross = ah * bl + (low >> 32), other = al * bh + (uint32_t)cross;
    return (other << 32 | (uint32_t)low) ^ (ah * bh + (cross >> 32) + (other >> 32));
#endif
}

/* Keys for the streams. As doubles they are nan: no number makes a factor zero. */
#define MF_SEAL_KEY(k) (0xFFF9E3779B97F4A7u + 0x0001C69B3F74AC4Du * (uint64_t)(k))

static uint64_t mf_seal(const double *data, size_t n) {
    uint64_t h[4], x[8], sum;
    size_t k = 0;
    for (int j = 0; j < 4; j++) h[j] = MF_SEAL_KEY(j) ^ n;
    for (; n - k >= 8; k += 8) {
        memcpy(x, data + k, sizeof x);
        for (int j = 0; j < 4; j++)
            h[j] = mf_fold(x[2 * j] ^ MF_SEAL_KEY(j), x[2 * j + 1] ^ h[j]);
    }
    for (; k < n; k++) {
        memcpy(x, data + k, sizeof *x);
        h[k % 4] = mf_fold(x[0] ^ MF_SEAL_KEY(3), h[k % 4] ^ MF_SEAL_KEY(k % 4));
    }
    sum = mf_fold(h[0] ^ MF_SEAL_KEY(0), h[1] ^ MF_SEAL_KEY(1));
    sum = mf_fold(h[2] ^ MF_SEAL_KEY(2), h[3] ^ sum);
    return mf_fold(sum ^ MF_SEAL_KEY(1), sum ^ MF_SEAL_KEY(2));
}

#endif
