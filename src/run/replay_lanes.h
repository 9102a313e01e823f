/* Ops of the table over n lanes: their kernels, and libm for the single lanes that a kernel is no good
 * for, beyond the column libm of ops.h. Only unary ops have such lanes. */
#ifndef MF_REPLAY_LANES_H
#define MF_REPLAY_LANES_H

#include "run/tile.h"

enum { MF_LIBM_BLOCK = 64 }; /* lanes that are looked through one by one if any is far out */

static void mf_lanes_forward(const mf_run *r, int op, int xs, int ys, ptrdiff_t n, const double *x,
                             const double *y, double *z) {
    const double limit = mf_libm_beyond(op);
    r->kernels->forward(op, xs, ys, n, x, y, z);
    if (limit == INFINITY) return;
    for (ptrdiff_t from = 0; from < n; from += MF_LIBM_BLOCK) {
        const ptrdiff_t end = n - from < MF_LIBM_BLOCK ? n : from + MF_LIBM_BLOCK;
        if (!r->kernels->reaches(end - from, limit, x + from)) continue;
        for (ptrdiff_t l = from; l < end; l++)
            if (fabs(x[l]) > limit) mf_forward(op, x[l], 0.0, &z[l]);
    }
}

/* A unary op's partials times g of at most a block of lanes: what its kernel added to lanes that are
 * far out is taken back. */
static void mf_far_lanes_backward(const mf_run *r, int op, ptrdiff_t n, const double *x,
                                  const double *z, const double *g, double *d) {
    const double limit = mf_libm_beyond(op);
    double before[MF_LIBM_BLOCK], dx = 0.0, dy = 0.0;
    memcpy(before, d, (size_t)n * sizeof(double));
    r->kernels->backward_x(op, 1, 0, n, x, NULL, z, g, d);
    for (ptrdiff_t l = 0; l < n; l++) {
        if (!(fabs(x[l]) > limit)) continue;
        mf_partials(op, x[l], 0.0, z[l], &dx, &dy);
        d[l] = before[l] + mf_contribution(op, dx, g[l]);
    }
}

/* The row that the adjoint is multiplied by, where that is all of the op's derivative; or NULL. */
static const double *mf_factor_row(int op, int of_y, int xs, int ys, const double *x,
                                   const double *y, const double *z) {
    if (op == MF_EXP && xs) return z;
    if (op != MF_MUL || !xs || !ys) return NULL;
    return of_y ? x : y;
}

/* Adds the partial by x, or by y, times g to d: a row where that operand is one (xs, ys), else a
 * number. */
static void mf_lanes_backward(const mf_run *r, int op, int of_y, int xs, int ys, ptrdiff_t n,
                              const double *x, const double *y, const double *z, const double *g,
                              double *d) {
    const double limit = mf_libm_beyond(op);
    const double *factor = r->met_subnormals ? mf_factor_row(op, of_y, xs, ys, x, y, z) : NULL;
    if (factor != NULL) {
        r->kernels->multiply_add_subnormal(n, factor, g, d);
        return;
    }
    if (limit == INFINITY || !r->kernels->reaches(n, limit, x)) {
        (of_y ? r->kernels->backward_y : r->kernels->backward_x)(op, xs, ys, n, x, y, z, g, d);
        return;
    }
    for (ptrdiff_t from = 0; from < n; from += MF_LIBM_BLOCK) {
        const ptrdiff_t m = n - from < MF_LIBM_BLOCK ? n - from : MF_LIBM_BLOCK;
        mf_far_lanes_backward(r, op, m, x + from, z + from, g + from, d + from);
    }
}

#endif
