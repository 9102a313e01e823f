/* Matrix steps of a plan: z[m] = bias[m] + the sum over k of W[m][k] * x[k], for dots that share
 * their inputs. W is a matrix of uniform numbers, by rows (w_col 1) or by columns (w_row 1). Over
 * lanes x, z and their adjoints are matrices of rows; with uniform x they are vectors, and all
 * vectors that W is applied to can be one step. The way back:
 *
 *   adjoint of x += W^T g      adjoint of W += g x^T      adjoint of bias += g
 *
 * A factor that is not finite makes its results so; where one is not finite, adjoints of 0 are left
 * out product by product, since 0 times infinity is not 0 (base/reach.h). */
#ifndef MF_REPLAY_MATRIX_H
#define MF_REPLAY_MATRIX_H

#include "run/tile.h"

/* A row that starts from a bias: nothing, a number or another row. */
static void mf_start_row(const mf_run *r, int32_t bias, double *z) {
    if (bias >= 0) {
        memcpy(z, mf_at(r, bias, 0), (size_t)r->stride * sizeof(double));
        return;
    }
    r->kernels->fill(r->stride, bias == MF_NO_SLOT ? 0.0 : r->ws.uniforms[~bias], z);
}

static void mf_bias_backward(const mf_run *r, int32_t bias, const double *g) {
    if (bias == MF_NO_SLOT || !mf_wants(r, bias)) return;
    if (bias >= 0)
        r->kernels->axpy(r->stride, 1.0, g, mf_grad_at(r, bias, 0));
    else
        r->ws.uniform_grads[~bias] += r->kernels->row_sum(r->n, g);
}

static inline int32_t mf_bias_of(const mf_matrix_step *s, int32_t m) {
    if (s->bias == MF_NO_SLOT) return MF_NO_SLOT;
    return s->bias >= 0 ? s->bias + m * s->bias_move : s->bias - m * s->bias_move;
}

static void mf_matrix_forward(const mf_run *r, const mf_step *step) {
    const mf_matrix_step *s = &step->matrix;
    for (int32_t m = 0; m < step->count; m++) mf_start_row(r, mf_bias_of(s, m), mf_at(r, step->z, m));
    r->kernels->matrix_add(step->count, r->stride, s->n, r->ws.uniforms + s->w, s->w_row, s->w_col,
                           mf_at(r, s->x, 0), r->stride, mf_at(r, step->z, 0), r->stride);
}

/* Samples first: row l holds the lanes l of `n` rows. Inputs that are an array's adjacent columns lie
 * there like that already. */
static const double *mf_samples_first(const mf_run *r, const double *rows, int32_t slot, int32_t n,
                                      ptrdiff_t *row) {
    const mf_column *c = r->job->columns + slot;
    if (slot >= 0 && slot + n <= r->plan->n_columns) {
        int32_t k = 1;
        while (k < n && c[k].data == c[0].data + k && c[k].stride == c[0].stride) k++;
        if (k == n) {
            *row = c->stride;
            return c->data + r->from * c->stride;
        }
    }
    *row = (n + MF_LANE_BLOCK - 1) / MF_LANE_BLOCK * MF_LANE_BLOCK;
    r->kernels->transpose(n, r->n, rows, r->stride, r->ws.scratch, *row);
    return r->ws.scratch;
}

/* What a sole user does where nothing reaches it. */
static void mf_clear_weights(const mf_run *r, const mf_step *step) {
    const mf_matrix_step *s = &step->matrix;
    for (int32_t m = 0; m < step->count; m++)
        for (int32_t j = 0; j < s->n; j++)
            r->ws.uniform_grads[s->w + m * s->w_row + j * s->w_col] = 0.0;
}

/* Whether all factors of a matrix step are finite, by n of its results, vector_move apart, that have row 0
 * of W in common and m, w_step apart, with one x: of the whole matrix the check took 2 % of moons. */
static int mf_factors_finite(const mf_run *r, const double *z, ptrdiff_t n, ptrdiff_t vector_move,
                             ptrdiff_t m, ptrdiff_t w_step) {
    double s = 0.0;
    for (ptrdiff_t i = 0; i < m; i++) s += z[i * w_step] * 0.0; /* nan where one is not finite */
    if (vector_move == 1) return s == 0.0 && r->kernels->all_finite(n, z);
    for (ptrdiff_t l = 0; l < n; l++) s += z[l * vector_move] * 0.0;
    return s == 0.0;
}

static int mf_is_finite(const mf_run *r, const mf_step *step) {
    return mf_factors_finite(r, mf_at(r, step->z, 0), r->stride, 1, step->count, r->stride);
}

/* As W^T g would. */
static void mf_inputs_backward_reached(const mf_run *r, const mf_step *step) {
    const mf_matrix_step *s = &step->matrix;
    const double *w = r->ws.uniforms + s->w;
    for (ptrdiff_t i = 0; i < step->count; i++)
        for (ptrdiff_t j = 0; j < s->n; j++)
            r->kernels->axpy_reached(r->stride, w[i * s->w_row + j * s->w_col],
                                     mf_grad_at(r, step->z, i), mf_grad_at(r, s->x, j));
}

/* As g x^T would. */
static void mf_weights_backward_reached(const mf_run *r, const mf_step *step, int sets, double *dw) {
    const mf_matrix_step *s = &step->matrix;
    for (ptrdiff_t i = 0; i < step->count; i++)
        for (ptrdiff_t j = 0; j < s->n; j++) {
            double *d = dw + i * s->w_row + j * s->w_col;
            *d = (sets ? 0.0 : *d) + r->kernels->inner_reached(r->n, mf_at(r, s->x, j),
                                                               mf_grad_at(r, step->z, i));
        }
}

/* Adds to the adjoints of the weights at dw, or sets them. */
static void mf_weights_backward(const mf_run *r, const mf_step *step, int finite, int sets,
                                double *dw) {
    const mf_matrix_step *s = &step->matrix;
    const double *g = mf_grad_at(r, step->z, 0), *x = mf_at(r, s->x, 0);
    mf_product *const product = sets ? r->kernels->matrix_set : r->kernels->matrix_add;
    ptrdiff_t row;
    if (!finite) {
        mf_weights_backward_reached(r, step, sets, dw);
        return;
    }
    if (s->w_col == 1) {
        const double *xt = mf_samples_first(r, x, s->x, s->n, &row);
        product(step->count, s->n, r->n, g, r->stride, 1, xt, row, dw, s->w_row);
    } else {
        const double *gt = mf_samples_first(r, g, -1, step->count, &row);
        product(s->n, step->count, r->n, x, r->stride, 1, gt, row, dw, s->w_col);
    }
}

static int mf_is_deferred(const mf_run *r, const mf_step *step) {
    return r->job->deferred != NULL && r->job->deferred[step - r->plan->steps];
}

static void mf_matrix_backward(const mf_run *r, const mf_step *step) {
    const mf_matrix_step *s = &step->matrix;
    const mf_kernels *k = r->kernels;
    const double *w = r->ws.uniforms + s->w, *g = mf_grad_at(r, step->z, 0);
    const ptrdiff_t m = step->count;
    const int finite = mf_is_finite(r, step);
    for (int32_t i = 0; i < m; i++) mf_bias_backward(r, mf_bias_of(s, i), mf_grad_at(r, step->z, i));
    if (s->wants_x && !finite)
        mf_inputs_backward_reached(r, step);
    else if (s->wants_x)
        k->matrix_add(s->n, r->stride, m, w, s->w_col, s->w_row, g, r->stride,
                      mf_grad_at(r, s->x, 0), r->stride);
    if (!s->wants_w || mf_is_deferred(r, step)) return;
    /* Written, not added to: 6 % of a step of mnist_size, whose weights are most of its memory. */
    mf_weights_backward(r, step, finite, s->sole_user && r->is_first, r->ws.uniform_grads + s->w);
}

static void mf_reach_weights(const mf_step *step, double *dw) {
    const mf_matrix_step *s = &step->matrix;
    for (ptrdiff_t i = 0; i < step->count; i++)
        for (ptrdiff_t j = 0; j < s->n; j++) {
            double *d = dw + i * s->w_row + j * s->w_col;
            *d = mf_present(*d);
        }
}

/* What a job over one tile put off for a step: adds scale times the adjoints of its weights to the
 * numbers at dw, which lie there as W does among the uniforms. Once: it scales the rows that they are
 * computed from. */
static void mf_add_weights(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                           const mf_job *job, int32_t number, double scale, double *dw) {
    const ptrdiff_t stride = mf_whole_blocks(job->n_samples);
    const mf_run r = {p, kernels, job, *ws, job->n_samples, stride, 0, 0, 0};
    const mf_step *step = &p->steps[number];
    const ptrdiff_t n = step->count * stride;
    double *g = mf_grad_at(&r, step->z, 0);
    if (p->partly_reached && mf_all_zero(n, g)) {
        mf_reach_weights(step, dw);
        return;
    }
    const unsigned before = mf_flush_on();
    for (ptrdiff_t l = 0; l < n; l++) g[l] *= scale;
    mf_weights_backward(&r, step, mf_is_finite(&r, step), 0, dw);
    mf_flush_off(before);
}

/* ---- the same over uniform numbers ---- */

static void mf_uniform_matrix_forward(const mf_run *r, const mf_step *step) {
    const mf_matrix_step *s = &step->matrix;
    const double *w = r->ws.uniforms + s->w, *x = mf_at(r, s->x, 0);
    double *z = mf_at(r, step->z, 0);
    const ptrdiff_t m = step->count, n = s->n;
    for (int32_t v = 0; v < s->n_vectors; v++)
        for (ptrdiff_t i = 0; i < m; i++)
            z[v * m + i] = s->bias == MF_NO_SLOT ? 0.0 : r->ws.uniforms[~s->bias + i * s->bias_move];
    if (s->w_col != 1) {
        r->kernels->matrix_add(s->n_vectors, m, n, x, s->vector_move, 1, w, s->w_col, z, m);
        return;
    }
    for (int32_t v = 0; v < s->n_vectors; v++)
        r->kernels->vector_add(m, n, w, s->w_row, x + (ptrdiff_t)v * s->vector_move, z + v * m);
}

/* What both products would, one adjoint after the other. */
static void mf_uniform_matrix_backward_reached(const mf_run *r, const mf_step *step) {
    const mf_matrix_step *s = &step->matrix;
    const double *w = r->ws.uniforms + s->w, *x = mf_at(r, s->x, 0), *g = mf_grad_at(r, step->z, 0);
    double *dw = r->ws.uniform_grads + s->w, *dx = mf_grad_at(r, s->x, 0);
    for (ptrdiff_t v = 0; v < s->n_vectors; v++, x += s->vector_move, dx += s->vector_move)
        for (ptrdiff_t i = 0; i < step->count; i++, g++)
            for (ptrdiff_t j = 0; *g != 0.0 && j < s->n; j++) {
                const ptrdiff_t at = i * s->w_row + j * s->w_col;
                if (s->wants_x) dx[j] += w[at] * *g;
                if (s->wants_w) dw[at] += x[j] * *g;
            }
}

static void mf_uniform_matrix_backward(const mf_run *r, const mf_step *step) {
    const mf_matrix_step *s = &step->matrix;
    const mf_kernels *k = r->kernels;
    const double *w = r->ws.uniforms + s->w, *x = mf_at(r, s->x, 0), *g = mf_grad_at(r, step->z, 0);
    double *dw = r->ws.uniform_grads + s->w, *dx = mf_grad_at(r, s->x, 0);
    const ptrdiff_t m = step->count, n = s->n, n_vectors = s->n_vectors, vector_move = s->vector_move;
    if (r->plan->partly_reached && mf_all_zero(m * n_vectors, g)) return;
    for (ptrdiff_t v = 0; s->bias != MF_NO_SLOT && v < n_vectors; v++)
        for (ptrdiff_t i = 0; i < m; i++)
            r->ws.uniform_grads[~s->bias + i * s->bias_move] += g[v * m + i];
    if (!mf_factors_finite(r, mf_at(r, step->z, 0), n_vectors, m, m, 1)) {
        mf_uniform_matrix_backward_reached(r, step);
        return;
    }
    if (s->w_col == 1) {
        if (s->wants_x) k->matrix_add(n_vectors, n, m, g, m, 1, w, s->w_row, dx, vector_move);
        if (s->wants_w) k->matrix_add(m, n, n_vectors, g, 1, m, x, vector_move, dw, s->w_row);
        return;
    }
    for (ptrdiff_t v = 0; s->wants_x && v < n_vectors; v++)
        k->vector_add(n, m, w, s->w_col, g + v * m, dx + v * vector_move);
    if (s->wants_w) k->matrix_add(n, m, n_vectors, x, 1, vector_move, g, m, dw, s->w_col);
}

/* One dot over adjacent uniform slots, or with one number for all first factors (a plain sum). */
static void mf_inner_forward(const mf_run *r, const mf_step *step) {
    const mf_inner_step *s = &step->inner;
    const double *w = r->ws.uniforms + s->w, *x = mf_at(r, s->x, 0);
    const double start = s->bias == MF_NO_SLOT ? 0.0 : r->ws.uniforms[~s->bias];
    *mf_at(r, step->z, 0) = start + (s->w_move ? r->kernels->inner(s->n, w, x)
                                           : *w * r->kernels->row_sum(s->n, x));
}

static void mf_inner_backward(const mf_run *r, const mf_step *step) {
    const mf_inner_step *s = &step->inner;
    const mf_kernels *k = r->kernels;
    const double *w = r->ws.uniforms + s->w, *x = mf_at(r, s->x, 0);
    const double g = *mf_grad_at(r, step->z, 0);
    double *dw = r->ws.uniform_grads + s->w;
    if (s->bias != MF_NO_SLOT) *mf_grad_at(r, s->bias, 0) += g;
    if (s->wants_w) {
        if (s->w_move)
            k->axpy(s->n, g, x, dw);
        else
            *dw += g * k->row_sum(s->n, x);
    }
    if (!s->wants_x) return;
    double *dx = mf_grad_at(r, s->x, 0);
    if (s->w_move)
        k->axpy(s->n, g, w, dx);
    else
        for (int32_t i = 0; i < s->n; i++) dx[i] += *w * g;
}

#endif
