/* The lane kernels for each instruction set, and the choice among them when the module is imported:
 * one wheel runs everywhere. GCC and Clang on x86-64 build AVX2 and AVX-512 variants beside the
 * portable one, which is what every other compiler and machine uses. */
#ifndef MF_KERNELS_H
#define MF_KERNELS_H

#include "eval.h"
#include "vecmath.h"

typedef struct {
    const char *name;
    void (*forward)(int op, int xs, int ys, long n, const double *x, const double *y, double *z);
    void (*backward_x)(int op, int xs, int ys, long n, const double *x, const double *y,
                       const double *z, const double *g, double *dx);
    void (*backward_y)(int op, int xs, int ys, long n, const double *x, const double *y,
                       const double *z, const double *g, double *dy);
    void (*axpy4)(long n, const double *w, const double *const *x, double *z);
    void (*axpy)(long n, double w, const double *x, double *z);
    void (*multiply_add)(long n, const double *x, const double *y, double *z);
    double (*inner)(long n, const double *x, const double *y);
    double (*row_sum)(long n, const double *x);
} mf_kernels;

/* y * x**(y-1) and z * log(x) without branches; see eval.h for the cases */
MF_INLINE double mf_vpow_dx(double x, double y) {
    return y == 0.0 ? 0.0 : y * mf_vpow(x, y - 1.0);
}
MF_INLINE double mf_vpow_dy(double x, double y, double z) {
    return x == 0.0 && y >= 0.0 ? 0.0 : z * mf_vlog(x);
}

#if defined(__GNUC__) || defined(__clang__)
#define MF_PRAGMA(text) _Pragma(#text)
#define MF_SIMD_SUM(s) MF_PRAGMA(omp simd reduction(+ : s))
#else
#define MF_SIMD_SUM(s)
#endif

#define MF_ISA_NAME "portable"
#define MF_ISA(name) mf_##name##_portable
#define MF_TARGET
#define MF_FMA(a, b, c) ((a) * (b) + (c))
#include "lanes.h"
#undef MF_ISA_NAME
#undef MF_ISA
#undef MF_TARGET
#undef MF_FMA

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define MF_HAS_X86_VARIANTS 1
#define MF_FMA(a, b, c) __builtin_fma(a, b, c)

#define MF_ISA_NAME "avx2"
#define MF_ISA(name) mf_##name##_avx2
#define MF_TARGET __attribute__((target("avx2,fma")))
#include "lanes.h"
#undef MF_ISA_NAME
#undef MF_ISA
#undef MF_TARGET

#define MF_ISA_NAME "avx512"
#define MF_ISA(name) mf_##name##_avx512
#if defined(__clang__)
#define MF_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma")))
#else
#define MF_TARGET \
    __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma,prefer-vector-width=512")))
#endif
#include "lanes.h"
#undef MF_ISA_NAME
#undef MF_ISA
#undef MF_TARGET
#undef MF_FMA
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
