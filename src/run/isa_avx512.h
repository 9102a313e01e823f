/* What the kernels are written with, for AVX-512. Undefined again by no_isa.h. No include guard. */
#include "run/kernel_types.h"
#include <immintrin.h>

#define MF_ISA(name) mf_##name##_avx512
#if defined(__clang__)
#define MF_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma")))
#else
#define MF_TARGET \
    __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma,prefer-vector-width=512")))
#endif
#define MF_FMA(a, b, c) __builtin_fma(a, b, c)
#define MF_PRODUCT_ERROR(a, b, p) __builtin_fma(a, b, -(p))
#define MF_VFMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define MF_MASK_TYPE __mmask8
#define MF_MASK(n) ((__mmask8)((n) ? (1u << (n)) - 1u : 0xFFu))
#define MF_BLOCK_ROWS 8
#define MF_BLOCK_VECS 3
#define MF_VEC __m512d
#define MF_WIDTH 8
#define MF_LOAD(p) _mm512_loadu_pd(p)
#define MF_STORE(p, v) _mm512_storeu_pd(p, v)
#define MF_SPREAD(x) _mm512_set1_pd(x)
#define MF_LOAD_PART(p, mask) _mm512_maskz_loadu_pd(mask, p)
#define MF_STORE_PART(p, mask, v) _mm512_mask_storeu_pd(p, mask, v)
#define MF_VSUM(v) _mm512_reduce_add_pd(v)
