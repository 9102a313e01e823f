/* The functions that every instruction set has a variant of, and what their sources are written with. */
#ifndef MF_KERNEL_TYPES_H
#define MF_KERNEL_TYPES_H

#include <stddef.h>

#include "base/absent.h"
#include "base/eval.h"
#include "base/flush.h"
#include "base/reach.h"

/* p = shrink p - step mean / (scale sqrt(square) + eps), with the running means of
 * g = sign grad + decay p and of g g. */
typedef struct {
    double beta1, beta2, sign, decay, shrink, step, scale, eps;
} mf_adam;

/* p -= lr v, where v = momentum v + g / d, or g / d itself without room for velocities, and
 * d = sqrt(square) + eps, of the running mean of g g less the square of that of g where there is
 * room for it; g = sign grad + decay p. */
typedef struct {
    double alpha, sign, decay, momentum, lr, eps;
} mf_rmsprop;

/* p -= step g / (sqrt(sum) + eps), with the sum of all g g; g = sign grad + decay p. */
typedef struct {
    double sign, decay, step, eps;
} mf_adagrad;

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
    void (*dot_backward4)(ptrdiff_t n, const double *const *w, const double *const *x,
                          const double *g, double *const *dw, double *const *dx);
    void (*axpy)(ptrdiff_t n, double w, const double *x, double *z);
    void (*multiply_add)(ptrdiff_t n, const double *x, const double *y, double *z);
    void (*multiply_add_subnormal)(ptrdiff_t n, const double *x, const double *y, double *z);
    double (*inner)(ptrdiff_t n, const double *x, const double *y);
    double (*row_sum)(ptrdiff_t n, const double *x);
    void (*axpy_reached)(ptrdiff_t n, double w, const double *x, double *z);
    void (*multiply_add_reached)(ptrdiff_t n, const double *x, const double *y, double *z);
    double (*inner_reached)(ptrdiff_t n, const double *x, const double *y);
    int (*all_finite)(ptrdiff_t n, const double *x);
    int (*reaches)(ptrdiff_t n, double limit, const double *x);
    void (*fill)(ptrdiff_t n, double x, double *z);
    /* a choice: `index` are whole numbers, and those that are k have their way */
    int (*all_below)(ptrdiff_t n, double limit, const double *index);
    void (*blend)(ptrdiff_t n, const double *index, double k, int xs, const double *x, double *z);
    void (*blend_add)(ptrdiff_t n, const double *index, double k, const double *g, double *d);
    double (*blend_sum)(ptrdiff_t n, const double *index, double k, const double *g);
    int (*any_absent)(ptrdiff_t n, const double *g);
    void (*adam)(ptrdiff_t n, const mf_adam *a, const double *g, double *p, double *mean,
                 double *square, double *largest);
    void (*rmsprop)(ptrdiff_t n, const mf_rmsprop *a, const double *g, double *p, double *square,
                    double *mean, double *velocity);
    void (*adagrad)(ptrdiff_t n, const mf_adagrad *a, const double *g, double *p, double *sum);
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
#define MF_SIMD MF_PRAGMA(omp simd) /* no lane reads what another one writes */
#define MF_UNROLL MF_PRAGMA(GCC unroll 8)
#else
#define MF_SIMD_SUM(s)
#define MF_SIMD
#define MF_UNROLL
#endif

#endif
