/* The interpreter: runs a plan, which is a program laid out in slots, over a batch of samples. No
 * Python, no allocation: the caller lends a workspace, so it runs without the GIL and two threads
 * may run one plan at once.
 *
 * A slot is a row of lanes, one a sample (number >= 0), or a uniform number, the same for all
 * samples (~number, so < 0). Uniform steps run once a call; lane steps run for a tile of samples at
 * a time, forward and backward together while the tile's rows are in cache. Memory is bounded by
 * the tile, not by the batch.
 *
 * A step computes `count` values into adjacent slots. Adjacent uniform slots are numbers side by
 * side, so the lane kernels serve them too: the values of the step are then the lanes. */
#ifndef MF_REPLAY_H
#define MF_REPLAY_H

#include "run/tile.h"

#include "run/replay_lanes.h"
#include "run/replay_matrix.h"
#include "run/replay_extremes.h"

/* ---- uniform steps ---- */

static void mf_uniform_op_forward(const mf_run *r, const mf_step *step) {
    const mf_ops_step *s = &step->ops;
    const double *x = mf_at(r, s->x, 0), *y = s->y == MF_NO_SLOT ? NULL : mf_at(r, s->y, 0);
    double *z = mf_at(r, step->z, 0);
    if (step->count > 1)
        mf_lanes_forward(r, s->op, s->x_move, s->y_move, step->count, x, y, z);
    else if (mf_is_power_of_few_roundings(s->op, y))
        *z = mf_small_power(*x, *y);
    else
        mf_forward(s->op, *x, y == NULL ? 0.0 : *y, z);
}

static void mf_uniform_op_backward(const mf_run *r, const mf_step *step) {
    const mf_ops_step *s = &step->ops;
    const int has_y = s->y != MF_NO_SLOT, n = step->count;
    const double *x = mf_at(r, s->x, 0), *y = has_y ? mf_at(r, s->y, 0) : NULL;
    const double *z = mf_at(r, step->z, 0), *g = mf_grad_at(r, step->z, 0);
    const int wants_x = mf_wants(r, s->x), wants_y = has_y && mf_wants(r, s->y);
    if (n > 1) {
        const int xs = s->x_move, ys = s->y_move;
        if (wants_x) mf_lanes_backward(r, s->op, 0, xs, ys, n, x, y, z, g, mf_grad_at(r, s->x, 0));
        if (wants_y) mf_lanes_backward(r, s->op, 1, xs, ys, n, x, y, z, g, mf_grad_at(r, s->y, 0));
        return;
    }
    double dx = 0.0, dy = 0.0;
    if (!wants_y && mf_is_power_of_few_roundings(s->op, y))
        dx = mf_small_power_dx(*x, *y, *z);
    else
        mf_partials(s->op, *x, has_y ? *y : 0.0, *z, &dx, &dy);
    if (wants_x) *mf_grad_at(r, s->x, 0) += mf_contribution(s->op, dx, *g);
    if (wants_y) *mf_grad_at(r, s->y, 0) += mf_contribution(s->op, dy, *g);
}

/* z[0] = x op y[0], z[1] = z[0] op y[1], ... */
static void mf_uniform_chain_forward(const mf_run *r, const mf_step *step) {
    const mf_chain_step *s = &step->chain;
    const int32_t *a = r->plan->args + s->args;
    double *u = r->ws.uniforms, *z = mf_at(r, step->z, 0), last = *mf_at(r, s->x, 0);
    for (int32_t j = 0; j < step->count; j++, last = *z++) mf_forward(s->op, last, u[~a[j]], z);
}

static void mf_uniform_chain_backward(const mf_run *r, const mf_step *step) {
    const mf_chain_step *s = &step->chain;
    const int32_t *a = r->plan->args + s->args;
    const double *z = mf_at(r, step->z, 0), *g = mf_grad_at(r, step->z, 0), *u = r->ws.uniforms;
    double dx = 0.0, dy = 0.0;
    for (int32_t j = step->count - 1; j >= 0; j--) {
        const int32_t x = j ? step->z - (j - 1) : s->x;
        mf_partials(s->op, u[~x], u[~a[j]], z[j], &dx, &dy);
        if (mf_wants(r, x)) r->ws.uniform_grads[~x] += mf_contribution(s->op, dx, g[j]);
        if (mf_wants(r, a[j])) r->ws.uniform_grads[~a[j]] += mf_contribution(s->op, dy, g[j]);
    }
}

static void mf_uniform_dot_forward(const mf_run *r, const mf_step *s) {
    const int32_t *a = r->plan->args + s->dot.args;
    double *u = r->ws.uniforms, z = s->dot.bias == MF_NO_SLOT ? 0.0 : u[~s->dot.bias];
    for (int32_t k = 0; k < s->dot.n_pairs; k++) z += u[~a[2 * k]] * u[~a[2 * k + 1]];
    u[~s->z] = z;
}

static void mf_uniform_dot_backward(const mf_run *r, const mf_step *s) {
    const int32_t *a = r->plan->args + s->dot.args;
    double *u = r->ws.uniforms, *d = r->ws.uniform_grads;
    const double g = d[~s->z];
    if (s->dot.bias != MF_NO_SLOT) d[~s->dot.bias] += g;
    for (int32_t k = 0; k < s->dot.n_pairs; k++) {
        const int32_t w = ~a[2 * k], x = ~a[2 * k + 1];
        d[w] += g * u[x];
        d[x] += g * u[w];
    }
}

/* The uniform number that a take has chosen, its index being valid. */
static int32_t mf_uniform_choice(const mf_run *r, const mf_take_step *s) {
    return ~r->plan->args[s->args + (int32_t)r->ws.uniforms[~s->index]];
}

static int mf_uniform_forward(const mf_run *r, const mf_step *s) {
    double *u = r->ws.uniforms;
    switch (s->kind) {
    case MF_STEP_OPS: mf_uniform_op_forward(r, s); break;
    case MF_STEP_DETACH:
        memcpy(u + ~s->z, u + ~s->ops.x, (size_t)s->count * sizeof(double));
        break;
    case MF_STEP_DOT: mf_uniform_dot_forward(r, s); break;
    case MF_STEP_MATRIX: mf_uniform_matrix_forward(r, s); break;
    case MF_STEP_INNER: mf_inner_forward(r, s); break;
    case MF_STEP_GATHER:
        for (int32_t k = 0; k < s->count; k++) u[~s->z + k] = u[~r->plan->args[s->gather.args + k]];
        break;
    case MF_STEP_CHAIN: mf_uniform_chain_forward(r, s); break;
    case MF_STEP_TAKE:
        if (!mf_is_whole(u[~s->take.index], s->take.n)) return MF_REPLAY_INDEX;
        u[~s->z] = u[mf_uniform_choice(r, &s->take)];
        break;
    case MF_STEP_EXTREME: mf_extreme_forward(r, s); break;
    }
    return MF_REPLAY_OK;
}

static void mf_uniform_backward(const mf_run *r, const mf_step *s) {
    double *d = r->ws.uniform_grads;
    const double g = d[~s->z];
    if (s->count == 1 && s->kind != MF_STEP_MATRIX && g == 0.0) return;
    switch (s->kind) {
    case MF_STEP_OPS: mf_uniform_op_backward(r, s); break;
    case MF_STEP_DOT: mf_uniform_dot_backward(r, s); break;
    case MF_STEP_MATRIX: mf_uniform_matrix_backward(r, s); break;
    case MF_STEP_INNER: mf_inner_backward(r, s); break;
    case MF_STEP_GATHER:
        for (int32_t k = 0; k < s->count; k++) d[~r->plan->args[s->gather.args + k]] += d[~s->z + k];
        break;
    case MF_STEP_CHAIN: mf_uniform_chain_backward(r, s); break;
    case MF_STEP_TAKE: d[mf_uniform_choice(r, &s->take)] += g; break;
    case MF_STEP_EXTREME: mf_extreme_backward(r, s); break;
    case MF_STEP_DETACH: break;
    }
}

/* ---- lane steps ---- */

/* Whether adjacent rows are one long row: each operand is rows that move along, or one number. */
static int mf_is_joined(const mf_ops_step *s) {
    return s->x_move == (s->x >= 0) && (s->y == MF_NO_SLOT || s->y_move == (s->y >= 0));
}

static void mf_op_forward(const mf_run *r, const mf_step *step) {
    const mf_ops_step *s = &step->ops;
    const int xs = s->x >= 0, ys = s->y >= 0, has_y = s->y != MF_NO_SLOT, joined = mf_is_joined(s);
    const int32_t members = joined ? 1 : step->count;
    const ptrdiff_t n = joined ? step->count * r->stride : r->stride;
    for (int32_t j = 0; j < members; j++)
        mf_lanes_forward(r, s->op, xs, ys, n, mf_at(r, s->x, j * s->x_move),
                         has_y ? mf_at(r, s->y, j * s->y_move) : NULL, mf_at(r, step->z, j));
}

static void mf_op_backward(const mf_run *r, const mf_step *step) {
    const mf_ops_step *s = &step->ops;
    const int xs = s->x >= 0, ys = s->y >= 0, has_y = s->y != MF_NO_SLOT, joined = mf_is_joined(s);
    for (int of_y = 0; of_y < 1 + has_y; of_y++) {
        const int32_t slot = of_y ? s->y : s->x, move = of_y ? s->y_move : s->x_move;
        if (!mf_wants(r, slot)) continue;
        /* A sum into a uniform adjoint takes in the samples only. */
        const int whole = joined && slot >= 0;
        const int32_t members = whole ? 1 : step->count;
        const ptrdiff_t n = slot < 0 ? r->n : whole ? step->count * r->stride : r->stride;
        for (int32_t j = 0; j < members; j++) {
            const double *x = mf_at(r, s->x, j * s->x_move), *z = mf_at(r, step->z, j);
            const double *y = has_y ? mf_at(r, s->y, j * s->y_move) : NULL;
            const double *g = mf_grad_at(r, step->z, j);
            mf_lanes_backward(r, s->op, of_y, xs, ys, n, x, y, z, g, mf_grad_at(r, slot, j * move));
        }
    }
}

/* One link of a chain: its operands x and y. */
static void mf_chain_link(const mf_run *r, const mf_step *s, int32_t j, int32_t *x, int32_t *y) {
    *x = j ? s->z + j - 1 : s->chain.x;
    *y = r->plan->args[s->chain.args + j];
}

static void mf_chain_forward(const mf_run *r, const mf_step *s) {
    int32_t x, y;
    for (int32_t j = 0; j < s->count; j++) {
        mf_chain_link(r, s, j, &x, &y);
        r->kernels->forward(s->chain.op, x >= 0, y >= 0, r->stride, mf_at(r, x, 0), mf_at(r, y, 0),
                            mf_at(r, s->z, j));
    }
}

static void mf_chain_backward(const mf_run *r, const mf_step *s) {
    const int op = s->chain.op;
    int32_t x, y;
    for (int32_t j = s->count - 1; j >= 0; j--) {
        mf_chain_link(r, s, j, &x, &y);
        const double *px = mf_at(r, x, 0), *py = mf_at(r, y, 0);
        const double *z = mf_at(r, s->z, j), *g = mf_grad_at(r, s->z, j);
        if (mf_wants(r, x))
            mf_lanes_backward(r, op, 0, x >= 0, y >= 0, x >= 0 ? r->stride : r->n, px, py, z, g,
                              mf_grad_at(r, x, 0));
        if (mf_wants(r, y))
            mf_lanes_backward(r, op, 1, x >= 0, y >= 0, y >= 0 ? r->stride : r->n, px, py, z, g,
                              mf_grad_at(r, y, 0));
    }
}

/* What takes adjoints from a dot's result to its factors. */
typedef struct {
    void (*axpy)(ptrdiff_t n, double w, const double *x, double *z);
    void (*multiply_add)(ptrdiff_t n, const double *x, const double *y, double *z);
    double (*inner)(ptrdiff_t n, const double *x, const double *y);
} mf_factor_kernels;

/* A factor that is not finite makes the result so: where that is finite, adjoints of 0 add 0. */
static mf_factor_kernels mf_factor_kernels_for(const mf_run *r, ptrdiff_t n, const double *z) {
    const mf_kernels *k = r->kernels;
    if (k->all_finite(n, z)) return (mf_factor_kernels){k->axpy, k->multiply_add, k->inner};
    return (mf_factor_kernels){k->axpy_reached, k->multiply_add_reached, k->inner_reached};
}

/* args of a dot: n_rows pairs (uniform, row), then n_pairs pairs (row, row) */
static void mf_dot_forward(const mf_run *r, const mf_step *step) {
    const mf_dot_step *s = &step->dot;
    const int32_t *a = r->plan->args + s->args;
    const mf_kernels *k = r->kernels;
    double *z = mf_at(r, step->z, 0);
    int32_t j = 0;
    mf_start_row(r, s->bias, z);
    for (; j + 4 <= s->n_rows; j += 4) {
        double w[4];
        const double *x[4];
        for (int i = 0; i < 4; i++) {
            w[i] = r->ws.uniforms[~a[2 * (j + i)]];
            x[i] = mf_at(r, a[2 * (j + i) + 1], 0);
        }
        k->axpy4(r->stride, w, x, z);
    }
    for (; j < s->n_rows; j++)
        k->axpy(r->stride, r->ws.uniforms[~a[2 * j]], mf_at(r, a[2 * j + 1], 0), z);
    for (; j < s->n_rows + s->n_pairs; j++)
        k->multiply_add(r->stride, mf_at(r, a[2 * j], 0), mf_at(r, a[2 * j + 1], 0), z);
}

/* Four products of a uniform and a row: false where not all of these want gradient. The lanes beyond the
 * last sample, whose adjoints are 0, may take part where all numbers are finite. */
static int mf_four_backward(const mf_run *r, const int32_t *a, const double *g) {
    const double *w[4], *x[4];
    double *dw[4], *dx[4];
    for (int j = 0; j < 4; j++) {
        const int32_t uniform = a[2 * j], row = a[2 * j + 1];
        if (!mf_wants(r, uniform) || !mf_wants(r, row)) return 0;
        w[j] = mf_at(r, uniform, 0);
        x[j] = mf_at(r, row, 0);
        dw[j] = mf_grad_at(r, uniform, 0);
        dx[j] = mf_grad_at(r, row, 0);
    }
    r->kernels->dot_backward4(r->stride, w, x, g, dw, dx);
    return 1;
}

static void mf_dot_backward(const mf_run *r, const mf_step *step) {
    const mf_dot_step *s = &step->dot;
    const int32_t *a = r->plan->args + s->args;
    const mf_factor_kernels k = mf_factor_kernels_for(r, r->stride, mf_at(r, step->z, 0));
    const double *g = mf_grad_at(r, step->z, 0);
    const int is_finite = k.inner == r->kernels->inner;
    mf_bias_backward(r, s->bias, g);
    for (int32_t j = 0; j < s->n_rows; j++) {
        if (is_finite && j + 4 <= s->n_rows && mf_four_backward(r, a + 2 * j, g)) {
            j += 3;
            continue;
        }
        const int32_t w = a[2 * j], x = a[2 * j + 1];
        if (mf_wants(r, x)) k.axpy(r->stride, r->ws.uniforms[~w], g, mf_grad_at(r, x, 0));
        if (mf_wants(r, w)) r->ws.uniform_grads[~w] += k.inner(r->n, mf_at(r, x, 0), g);
    }
    for (int32_t j = s->n_rows; j < s->n_rows + s->n_pairs; j++) {
        const int32_t w = a[2 * j], x = a[2 * j + 1];
        if (mf_wants(r, w)) k.multiply_add(r->stride, mf_at(r, x, 0), g, mf_grad_at(r, w, 0));
        if (mf_wants(r, x)) k.multiply_add(r->stride, mf_at(r, w, 0), g, mf_grad_at(r, x, 0));
    }
}

static int mf_is_blended(const mf_take_step *s) { return s->index >= 0 && s->n <= MF_MAX_BLENDED; }

static int mf_take_forward(const mf_run *r, const mf_step *step) {
    const mf_take_step *s = &step->take;
    const int32_t *a = r->plan->args + s->args;
    const double *index = mf_at(r, s->index, 0);
    double *z = mf_at(r, step->z, 0);
    if (mf_is_blended(s)) {
        if (!r->kernels->all_below(r->stride, s->n, index)) return MF_REPLAY_INDEX;
        mf_start_row(r, a[0], z);
        for (int32_t k = 1; k < s->n; k++)
            r->kernels->blend(r->stride, index, k, a[k] >= 0, mf_at(r, a[k], 0), z);
        return MF_REPLAY_OK;
    }
    for (ptrdiff_t l = 0; l < r->stride; l++) {
        const double i = index[s->index >= 0 ? l : 0];
        if (!mf_is_whole(i, s->n)) return MF_REPLAY_INDEX;
        const int32_t from = a[(int32_t)i];
        z[l] = mf_at(r, from, 0)[from >= 0 ? l : 0];
    }
    return MF_REPLAY_OK;
}

static void mf_take_backward(const mf_run *r, const mf_step *step) {
    const mf_take_step *s = &step->take;
    const int32_t *a = r->plan->args + s->args;
    const double *index = mf_at(r, s->index, 0), *g = mf_grad_at(r, step->z, 0);
    if (mf_is_blended(s)) {
        for (int32_t k = 0; k < s->n; k++) {
            if (!mf_wants(r, a[k])) continue;
            if (a[k] >= 0)
                r->kernels->blend_add(r->n, index, k, g, mf_grad_at(r, a[k], 0));
            else
                *mf_grad_at(r, a[k], 0) += r->kernels->blend_sum(r->n, index, k, g);
        }
        return;
    }
    for (ptrdiff_t l = 0; l < r->n; l++) {
        const int32_t from = a[(int32_t)index[s->index >= 0 ? l : 0]];
        if (mf_wants(r, from)) mf_grad_at(r, from, 0)[from >= 0 ? l : 0] += g[l];
    }
}

static void mf_gather_forward(const mf_run *r, const mf_step *s) {
    const int32_t *a = r->plan->args + s->gather.args;
    for (int32_t j = 0; j < s->count; j++) mf_start_row(r, a[j], mf_at(r, s->z, j));
}

static void mf_gather_backward(const mf_run *r, const mf_step *s) {
    const int32_t *a = r->plan->args + s->gather.args;
    for (int32_t j = 0; j < s->count; j++) mf_bias_backward(r, a[j], mf_grad_at(r, s->z, j));
}

static int mf_lane_forward(const mf_run *r, const mf_step *s) {
    switch (s->kind) {
    case MF_STEP_OPS: mf_op_forward(r, s); break;
    case MF_STEP_DETACH:
        for (int32_t j = 0; j < s->count; j++)
            mf_start_row(r, s->ops.x + j * s->ops.x_move, mf_at(r, s->z, j));
        break;
    case MF_STEP_DOT: mf_dot_forward(r, s); break;
    case MF_STEP_MATRIX: mf_matrix_forward(r, s); break;
    case MF_STEP_GATHER: mf_gather_forward(r, s); break;
    case MF_STEP_CHAIN: mf_chain_forward(r, s); break;
    case MF_STEP_TAKE: return mf_take_forward(r, s);
    case MF_STEP_EXTREME: mf_extreme_forward(r, s); break;
    }
    return MF_REPLAY_OK;
}

static void mf_lane_backward(const mf_run *r, const mf_step *s) {
    if (r->plan->partly_reached && mf_all_zero(s->count * r->stride, mf_grad_at(r, s->z, 0))) {
        if (s->kind == MF_STEP_MATRIX && s->matrix.sole_user && r->is_first) mf_clear_weights(r, s);
        return;
    }
    switch (s->kind) {
    case MF_STEP_OPS: mf_op_backward(r, s); break;
    case MF_STEP_DOT: mf_dot_backward(r, s); break;
    case MF_STEP_MATRIX: mf_matrix_backward(r, s); break;
    case MF_STEP_GATHER: mf_gather_backward(r, s); break;
    case MF_STEP_CHAIN: mf_chain_backward(r, s); break;
    case MF_STEP_TAKE: mf_take_backward(r, s); break;
    case MF_STEP_EXTREME: mf_extreme_backward(r, s); break;
    case MF_STEP_DETACH: break;
    }
}

/* ---- a tile, a call ---- */

/* Fills the rows of the inputs: columns that are adjacent in one array are transposed together. The
 * lanes beyond the last sample repeat it. */
static void mf_load_columns(const mf_run *r) {
    const mf_column *c = r->job->columns;
    const int32_t n_columns = r->plan->n_columns;
    for (int32_t k = 0, n; k < n_columns; k += n) {
        for (n = 1; k + n < n_columns && c[k + n].data == c[k].data + n &&
                    c[k + n].stride == c[k].stride; n++);
        r->kernels->transpose(r->n, n, c[k].data + r->from * c[k].stride, c[k].stride,
                              mf_at(r, k, 0), r->stride);
    }
    for (int32_t k = 0; r->n < r->stride && k < n_columns; k++) {
        double *row = mf_at(r, k, 0);
        for (ptrdiff_t l = r->n; l < r->stride; l++) row[l] = row[r->n - 1];
    }
}

/* Adjoints of the input rows, back into the callers' arrays that want them. One column after another took
 * 4 % longer over the value and sensitivities of black_scholes. */
static void mf_store_column_grads(const mf_run *r) {
    const mf_column *c = r->job->columns;
    const int32_t n_columns = r->plan->n_columns;
    for (int32_t k = 0, n; k < n_columns; k += n) {
        n = 1;
        if (c[k].grad == NULL) continue;
        while (k + n < n_columns && c[k + n].grad == c[k].grad + n &&
               c[k + n].stride == c[k].stride) n++;
        r->kernels->transpose(n, r->n, mf_grad_at(r, k, 0), r->stride,
                              c[k].grad + r->from * c[k].stride, c[k].stride);
    }
}

static void mf_seed_tile(const mf_run *r) {
    const mf_plan *p = r->plan;
    const double *seeds = r->job->seeds;
    for (int32_t k = 0; k < p->n_wanted_rows; k++)
        memset(mf_grad_at(r, p->wanted_rows[k].first, 0), 0,
               (size_t)p->wanted_rows[k].n * r->stride * sizeof(double));
    for (int32_t k = 0; k < p->n_outputs; k++) {
        const ptrdiff_t seed_move = r->job->seed_move;
        const double *seed = seeds == NULL ? NULL : seeds + r->from * seed_move + k;
        if ((seeds == NULL && k > 0) || !mf_wants(r, p->outputs[k])) continue;
        double *g = mf_grad_at(r, p->outputs[k], 0);
        const int is_row = p->outputs[k] >= 0;
        for (ptrdiff_t l = 0; l < r->n; l++)
            g[is_row ? l : 0] += seed == NULL ? 1.0 : seed[l * seed_move];
    }
}

/* Adjoints that fade out below the normal numbers become 0; the values are exact. */
static void mf_backward_tile(const mf_run *r) {
    const mf_plan *p = r->plan;
    const unsigned before = mf_flush_on();
    mf_seed_tile(r);
    for (int32_t k = p->n_steps - 1; k >= p->n_uniform_steps; k--)
        if (p->steps[k].wants_gradient) mf_lane_backward(r, &p->steps[k]);
    mf_store_column_grads(r);
    mf_flush_off(before);
}

static void mf_store_outputs(const mf_run *r) {
    const mf_plan *p = r->plan;
    for (int32_t k = 0; r->job->outputs != NULL && k < p->n_outputs; k++) {
        const double *z = mf_at(r, p->outputs[k], 0);
        const int is_row = p->outputs[k] >= 0;
        for (ptrdiff_t l = 0; l < r->n; l++)
            r->job->outputs[(r->from + l) * p->n_outputs + k] = z[is_row ? l : 0];
    }
}

static int mf_replay_tile(mf_run *r, void *nothing) {
    const mf_plan *p = r->plan;
    (void)nothing;
    mf_forget_subnormals();
    mf_load_columns(r);
    for (int32_t k = p->n_uniform_steps; k < p->n_steps; k++) {
        const int error = mf_lane_forward(r, &p->steps[k]);
        if (error) return error;
    }
    mf_store_outputs(r);
    r->met_subnormals = mf_met_subnormals();
    if (r->job->backward) mf_backward_tile(r);
    return MF_REPLAY_OK;
}

static inline ptrdiff_t mf_n_tiles(const mf_plan *p, ptrdiff_t n_samples) {
    return (n_samples + p->tile - 1) / p->tile;
}

/* The three parts of a call. Between the first and the last, tiles may run in any number of threads,
 * each with rows and uniform_grads of its own, which start at zero and are summed up afterwards. */
static int mf_replay_start(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                           const mf_job *job) {
    mf_run r = {p, kernels, job, *ws, 0, 0, 0, 0, 0};
    for (int32_t k = 0; k < p->n_uniform_steps; k++) {
        const int error = mf_uniform_forward(&r, &p->steps[k]);
        if (error) return error;
    }
    return MF_REPLAY_OK;
}

/* Tiles first .. end - 1 of mf_n_tiles, at least one, which are as even as can be, by run_tile. */
static inline int mf_run_tiles(mf_run *r, ptrdiff_t first, ptrdiff_t end,
                               int (*run_tile)(mf_run *r, void *profile), void *profile) {
    const mf_plan *p = r->plan;
    const mf_job *job = r->job;
    const ptrdiff_t n_tiles = mf_n_tiles(p, job->n_samples);
    const ptrdiff_t tile = mf_whole_blocks((job->n_samples + n_tiles - 1) / n_tiles);
    for (int32_t k = 0; job->backward && k < p->n_summed_uniforms; k++)
        memset(r->ws.uniform_grads + p->summed_uniforms[k].first, 0,
               (size_t)p->summed_uniforms[k].n * sizeof(double));
    for (ptrdiff_t k = first; k < end && k * tile < job->n_samples; k++, r->is_first = 0) {
        r->from = k * tile;
        r->n = job->n_samples - r->from < tile ? job->n_samples - r->from : tile;
        r->stride = mf_whole_blocks(r->n);
        const int error = run_tile(r, profile);
        if (error) return error;
    }
    return MF_REPLAY_OK;
}

static int mf_replay_tiles(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                           const mf_job *job, ptrdiff_t first, ptrdiff_t end) {
    mf_run r = {p, kernels, job, *ws, 0, 0, 0, 1, 0};
    return mf_run_tiles(&r, first, end, mf_replay_tile, NULL);
}

/* Afterwards ws->uniform_grads holds the gradients of all uniform slots. */
static void mf_replay_finish(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                             const mf_job *job) {
    mf_run r = {p, kernels, job, *ws, 0, 0, 0, 0, 0};
    if (!job->backward || p->n_uniform_steps == 0) return;
    const unsigned before = mf_flush_on();
    for (int32_t k = p->n_uniform_steps - 1; k >= 0; k--)
        if (p->steps[k].wants_gradient) mf_uniform_backward(&r, &p->steps[k]);
    mf_flush_off(before);
}

static int mf_replay(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                     const mf_job *job) {
    int error = mf_replay_start(p, kernels, ws, job);
    if (!error)
        error = mf_replay_tiles(p, kernels, ws, job, 0, mf_n_tiles(p, job->n_samples));
    if (!error) mf_replay_finish(p, kernels, ws, job);
    return error;
}

#endif
