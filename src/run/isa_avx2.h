/* What the kernels are written with, for AVX2 with FMA. Undefined again by no_isa.h. No include guard. */
#include "run/kernel_types.h"
#include <immintrin.h>

#define MF_ISA(name) mf_##name##_avx2
#define MF_TARGET __attribute__((target("avx2,fma")))
#define MF_FMA(a, b, c) __builtin_fma(a, b, c)
#define MF_PRODUCT_ERROR(a, b, p) __builtin_fma(a, b, -(p))
#define MF_VFMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define MF_MASK_TYPE __m256i
static const int64_t mf_avx2_masks[8] = {-1, -1, -1, -1, 0, 0, 0, 0};
#define MF_MASK(n) _mm256_loadu_si256((const __m256i *)(mf_avx2_masks + (4 - (n)) % 4))
#define MF_BLOCK_ROWS 4
#define MF_BLOCK_VECS 3
#define MF_VEC __m256d
#define MF_WIDTH 4
#define MF_LOAD(p) _mm256_loadu_pd(p)
#define MF_STORE(p, v) _mm256_storeu_pd(p, v)
#define MF_SPREAD(x) _mm256_set1_pd(x)
#define MF_LOAD_PART(p, mask) _mm256_maskload_pd(p, mask)
#define MF_STORE_PART(p, mask, v) _mm256_maskstore_pd(p, mask, v)
MF_INLINE MF_TARGET double mf_sum_avx2(__m256d v) {
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
#define MF_VSUM(v) mf_sum_avx2(v)
