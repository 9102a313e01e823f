/* The lane kernels for each instruction set, and the choice among them when the module is imported:
 * one wheel runs everywhere. GCC and Clang on x86-64 build AVX2 and AVX-512 variants beside the
 * portable one, which is what every other compiler and machine uses. */
#ifndef MF_KERNELS_H
#define MF_KERNELS_H

#include <stddef.h>

#include "eval.h"
#include "flush.h"
#include "reach.h"

/* p = shrink p - step mean / (scale sqrt(square) + eps), with the running means of
 * g = sign grad + decay p and of g g. */
typedef struct {
    double beta1, beta2, sign, decay, shrink, step, scale, eps;
} mf_adam;

/* C is m by n, A m by n_k, B n_k by n: see matrix.h */
typedef void mf_product(ptrdiff_t m, ptrdiff_t n, ptrdiff_t n_k, const double *a, ptrdiff_t a_row,
                        ptrdiff_t a_col, const double *b, ptrdiff_t b_row, double *c,
                        ptrdiff_t c_row);

enum { MF_FAR_BLOCK = 32 }; /* lanes that tanh's derivative looks at together; see lanes.h */

typedef struct {
    const char *name;
    /* lanes.h */
    void (*forward)(int op, int xs, int ys, ptrdiff_t n, const double *x, const double *y,
                    double *z);
    void (*backward_x)(int op, int xs, int ys, ptrdiff_t n, const double *x, const double *y,
                       const double *z, const double *g, double *dx);
    void (*backward_y)(int op, int xs, int ys, ptrdiff_t n, const double *x, const double *y,
                       const double *z, const double *g, double *dy);
    void (*axpy4)(ptrdiff_t n, const double *w, const double *const *x, double *z);
    void (*axpy)(ptrdiff_t n, double w, const double *x, double *z);
    void (*multiply_add)(ptrdiff_t n, const double *x, const double *y, double *z);
    double (*inner)(ptrdiff_t n, const double *x, const double *y);
    double (*row_sum)(ptrdiff_t n, const double *x);
    void (*axpy_reached)(ptrdiff_t n, double w, const double *x, double *z);
    void (*multiply_add_reached)(ptrdiff_t n, const double *x, const double *y, double *z);
    double (*inner_reached)(ptrdiff_t n, const double *x, const double *y);
    int (*all_finite)(ptrdiff_t n, const double *x);
    void (*fill)(ptrdiff_t n, double x, double *z);
    void (*adam)(ptrdiff_t n, const mf_adam *a, const double *g, double *p, double *mean,
                 double *square, double *largest);
    /* matrix.h */
    mf_product *matrix_add, *matrix_set;
    void (*vector_add)(ptrdiff_t m, ptrdiff_t n_k, const double *w, ptrdiff_t w_row,
                       const double *x, double *y);
    void (*transpose)(ptrdiff_t n, ptrdiff_t n_k, const double *from, ptrdiff_t from_row,
                      double *to, ptrdiff_t to_row);
    double (*multiply_adds)(ptrdiff_t n);
    int multiply_adds_a_round;
} mf_kernels;

#if defined(__GNUC__) || defined(__clang__)
#define MF_PRAGMA(text) _Pragma(#text)
#define MF_SIMD_SUM(s) MF_PRAGMA(omp simd reduction(+ : s))
#define MF_UNROLL MF_PRAGMA(GCC unroll 8)
#else
#define MF_SIMD_SUM(s)
#define MF_UNROLL
#endif

#define MF_KERNELS(isa)                                                                      \
    static const mf_kernels MF_ISA(kernels) = {                                              \
        isa, MF_ISA(forward), MF_ISA(backward_x), MF_ISA(backward_y), MF_ISA(axpy4),         \
        MF_ISA(axpy), MF_ISA(multiply_add), MF_ISA(inner), MF_ISA(row_sum),                  \
        MF_ISA(axpy_reached), MF_ISA(multiply_add_reached), MF_ISA(inner_reached),           \
        MF_ISA(all_finite), MF_ISA(fill), MF_ISA(adam), MF_ISA(matrix_add), MF_ISA(matrix_set),                  \
        MF_ISA(vector_add), MF_ISA(transpose), MF_ISA(multiply_adds), MF_ISA(multiply_adds_a_round)};

/* ---- portable: vectors of two where the compiler has them, else of one ---- */
#define MF_ISA(name) mf_##name##_portable
#define MF_TARGET
#define MF_FMA(a, b, c) ((a) * (b) + (c))
#define MF_PRODUCT_ERROR(a, b, p) mf_product_error(a, b, p)
#define MF_VFMA(a, b, c) ((a) * (b) + (c))
#define MF_MASK_TYPE int
#define MF_MASK(n) (n)
#define MF_BLOCK_ROWS 4
#define MF_BLOCK_VECS 2
#if defined(__GNUC__) || defined(__clang__)
typedef double mf_two __attribute__((vector_size(16), aligned(8), may_alias));
#define MF_VEC mf_two
#define MF_WIDTH 2
#define MF_LOAD(p) (*(const mf_two *)(p))
#define MF_STORE(p, v) (void)(*(mf_two *)(p) = (v))
#define MF_SPREAD(x) ((mf_two){(x), (x)})
#define MF_LOAD_PART(p, mask) ((mask) ? (mf_two){(p)[0], 0.0} : MF_LOAD(p))
#define MF_STORE_PART(p, mask, v) ((mask) ? (void)((p)[0] = (v)[0]) : MF_STORE(p, v))
#define MF_VSUM(v) ((v)[0] + (v)[1])
#else
#define MF_VEC double
#define MF_WIDTH 1
#define MF_LOAD(p) (*(p))
#define MF_STORE(p, v) (void)(*(p) = (v))
#define MF_SPREAD(x) (x)
#define MF_LOAD_PART(p, mask) (*(p))
#define MF_STORE_PART(p, mask, v) (void)(*(p) = (v))
#define MF_VSUM(v) (v)
#endif
#include "vecmath.h"
#include "lanes.h"
#include "matrix.h"
MF_KERNELS("portable")
#include "no_isa.h"

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define MF_HAS_X86_VARIANTS 1
#include <immintrin.h>

/* ---- AVX2 ---- */
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
#include "vecmath.h"
#include "lanes.h"
#include "matrix.h"
MF_KERNELS("avx2")
#include "no_isa.h"

/* ---- AVX-512 ---- */
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
#include "vecmath.h"
#include "lanes.h"
#include "matrix.h"
MF_KERNELS("avx512")
#include "no_isa.h"
#endif

/* The best variant for this machine, or the one named (NULL where it does not run here). */
static const mf_kernels *mf_choose_kernels(const char *name) {
#ifdef MF_HAS_X86_VARIANTS
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    if (avx512 && (name == NULL || strcmp(name, "avx512") == 0)) return &mf_kernels_avx512;
    if (avx2 && (name == NULL || strcmp(name, "avx2") == 0)) return &mf_kernels_avx2;
#endif
    return name == NULL || strcmp(name, "portable") == 0 ? &mf_kernels_portable : NULL;
}

#endif
