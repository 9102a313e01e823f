/* The executor: runs a plan, which is a program laid out in slots, over a batch of samples. No
 * Python, no allocation: the caller lends a workspace, so it runs without the GIL and two threads
 * may run one plan at once.
 *
 * A slot is a row of lanes, one a sample (number >= 0), or a uniform number, the same for all
 * samples (~number, so < 0). Uniform steps run once a call; lane steps run for a tile of samples at
 * a time, forward and backward together while the tile's rows are in cache. Memory is bounded by
 * the tile, not by the batch. */
#ifndef MF_REPLAY_H
#define MF_REPLAY_H

#include "kernels.h"

typedef struct {
    int32_t op;
    int32_t z, x, y;        /* slots; y of a dot is its bias, of a take the index; MF_NO_SLOT: none */
    int32_t args;           /* first of the step's args, for dot and take */
    int32_t n_rows;         /* dot: products of a uniform and a row; take: choices */
    int32_t n_pairs;        /* dot: products of two slots of the step's own kind */
    uint8_t wants_gradient; /* whether anything wanted depends on z */
} mf_step;

#define MF_NO_SLOT INT32_MIN

typedef struct {
    const double *data; /* sample b is data[b * stride] */
    long stride;
    double *grad;       /* where its gradient goes, laid out alike, or NULL */
} mf_column;

typedef struct {
    const mf_step *steps; /* uniform steps first */
    int32_t n_uniform_steps, n_steps;
    const int32_t *args;
    int32_t n_rows, n_uniforms;
    const uint8_t *row_wants, *uniform_wants;
    int32_t n_columns;    /* rows 0 .. n_columns - 1 are loaded from the inputs */
    const int32_t *outputs;
    int32_t n_outputs;
    int32_t tile;
} mf_plan;

typedef struct {
    double *uniforms, *uniform_grads; /* the caller fills in inputs, captured nodes and numbers */
    double *rows, *row_grads;         /* tile lanes a row */
} mf_workspace;

typedef struct {
    long n_samples;
    const mf_column *columns;
    double *outputs;     /* sample b's output k is outputs[b * n_outputs + k] */
    const double *seeds; /* their adjoints, laid out alike; NULL: one for output 0 of each sample */
    int backward;
} mf_job;

enum { MF_REPLAY_OK = 0, MF_REPLAY_INDEX = 1 };

typedef struct {
    const mf_plan *plan;
    const mf_kernels *kernels;
    mf_workspace ws;
    long n; /* lanes of this tile */
} mf_run;

static inline double *mf_at(const mf_run *r, int32_t slot) {
    return slot >= 0 ? r->ws.rows + (size_t)slot * r->plan->tile : r->ws.uniforms + ~slot;
}
static inline double *mf_grad_at(const mf_run *r, int32_t slot) {
    return slot >= 0 ? r->ws.row_grads + (size_t)slot * r->plan->tile
                     : r->ws.uniform_grads + ~slot;
}
static inline int mf_wants(const mf_run *r, int32_t slot) {
    return slot >= 0 ? r->plan->row_wants[slot] : r->plan->uniform_wants[~slot];
}

/* ---- uniform steps: scalar, with libm ---- */

static int mf_uniform_forward(const mf_run *r, const mf_step *s) {
    double *u = r->ws.uniforms;
    const int32_t *a = r->plan->args + s->args;
    double z = 0.0;
    if (s->op == MF_DOT) {
        z = s->y == MF_NO_SLOT ? 0.0 : u[~s->y];
        for (int32_t k = 0; k < s->n_pairs; k++) z += u[~a[2 * k]] * u[~a[2 * k + 1]];
    } else if (s->op == MF_TAKE) {
        const double index = u[~s->y];
        if (!(index >= 0.0 && index < s->n_rows) || index != floor(index)) return MF_REPLAY_INDEX;
        z = u[~a[(int32_t)index]];
    } else if (s->op == MF_DETACH) {
        z = u[~s->x];
    } else {
        mf_forward(s->op, u[~s->x], s->y == MF_NO_SLOT ? 0.0 : u[~s->y], &z);
    }
    u[~s->z] = z;
    return MF_REPLAY_OK;
}

static void mf_uniform_backward(const mf_run *r, const mf_step *s) {
    double *u = r->ws.uniforms, *d = r->ws.uniform_grads;
    const double g = d[~s->z];
    const int32_t *a = r->plan->args + s->args;
    if (s->op == MF_DOT) {
        if (s->y != MF_NO_SLOT) d[~s->y] += g;
        for (int32_t k = 0; k < s->n_pairs; k++) {
            const int32_t w = ~a[2 * k], x = ~a[2 * k + 1];
            d[w] += g * u[x];
            d[x] += g * u[w];
        }
    } else if (s->op == MF_TAKE) {
        d[~a[(int32_t)u[~s->y]]] += g;
    } else if (s->op != MF_DETACH) {
        double dx = 0.0, dy = 0.0;
        mf_partials(s->op, u[~s->x], s->y == MF_NO_SLOT ? 0.0 : u[~s->y], u[~s->z], &dx, &dy);
        if (mf_wants(r, s->x)) d[~s->x] += dx * g;
        if (s->y != MF_NO_SLOT && mf_wants(r, s->y)) d[~s->y] += dy * g;
    }
}

/* ---- lane steps ---- */

/* args of a dot: n_rows pairs (uniform, row), then n_pairs pairs (row, row) */
static void mf_dot_forward(const mf_run *r, const mf_step *s) {
    const int32_t *a = r->plan->args + s->args;
    const mf_kernels *k = r->kernels;
    double *z = mf_at(r, s->z);
    int32_t j = 0;
    if (s->y >= 0) {
        memcpy(z, mf_at(r, s->y), (size_t)r->n * sizeof(double));
    } else {
        const double bias = s->y == MF_NO_SLOT ? 0.0 : r->ws.uniforms[~s->y];
        for (long l = 0; l < r->n; l++) z[l] = bias;
    }
    for (; j + 4 <= s->n_rows; j += 4) {
        double w[4];
        const double *x[4];
        for (int i = 0; i < 4; i++) {
            w[i] = r->ws.uniforms[~a[2 * (j + i)]];
            x[i] = mf_at(r, a[2 * (j + i) + 1]);
        }
        k->axpy4(r->n, w, x, z);
    }
    for (; j < s->n_rows; j++)
        k->axpy(r->n, r->ws.uniforms[~a[2 * j]], mf_at(r, a[2 * j + 1]), z);
    for (; j < s->n_rows + s->n_pairs; j++)
        k->multiply_add(r->n, mf_at(r, a[2 * j]), mf_at(r, a[2 * j + 1]), z);
}

static void mf_dot_backward(const mf_run *r, const mf_step *s) {
    const int32_t *a = r->plan->args + s->args;
    const mf_kernels *k = r->kernels;
    const double *g = mf_grad_at(r, s->z);
    if (s->y >= 0 && mf_wants(r, s->y)) k->axpy(r->n, 1.0, g, mf_grad_at(r, s->y));
    if (s->y < 0 && s->y != MF_NO_SLOT && mf_wants(r, s->y))
        *mf_grad_at(r, s->y) += k->row_sum(r->n, g);
    for (int32_t j = 0; j < s->n_rows; j++) {
        const int32_t w = a[2 * j], x = a[2 * j + 1];
        if (mf_wants(r, x)) k->axpy(r->n, r->ws.uniforms[~w], g, mf_grad_at(r, x));
        if (mf_wants(r, w)) r->ws.uniform_grads[~w] += k->inner(r->n, mf_at(r, x), g);
    }
    for (int32_t j = s->n_rows; j < s->n_rows + s->n_pairs; j++) {
        const int32_t w = a[2 * j], x = a[2 * j + 1];
        if (mf_wants(r, w)) k->multiply_add(r->n, mf_at(r, x), g, mf_grad_at(r, w));
        if (mf_wants(r, x)) k->multiply_add(r->n, mf_at(r, w), g, mf_grad_at(r, x));
    }
}

static int mf_take_forward(const mf_run *r, const mf_step *s) {
    const int32_t *a = r->plan->args + s->args;
    double *z = mf_at(r, s->z);
    for (long l = 0; l < r->n; l++) {
        const double index = mf_at(r, s->y)[s->y >= 0 ? l : 0];
        if (!(index >= 0.0 && index < s->n_rows) || index != floor(index)) return MF_REPLAY_INDEX;
        const int32_t from = a[(int32_t)index];
        z[l] = mf_at(r, from)[from >= 0 ? l : 0];
    }
    return MF_REPLAY_OK;
}

static void mf_take_backward(const mf_run *r, const mf_step *s) {
    const int32_t *a = r->plan->args + s->args;
    const double *g = mf_grad_at(r, s->z);
    for (long l = 0; l < r->n; l++) {
        const int32_t from = a[(int32_t)mf_at(r, s->y)[s->y >= 0 ? l : 0]];
        if (mf_wants(r, from)) mf_grad_at(r, from)[from >= 0 ? l : 0] += g[l];
    }
}

/* The reduction of the vectorised sin and cos is good for |x| < 1e6: a tile with a larger number
 * goes to libm, lane by lane. */
static int mf_needs_libm(const mf_run *r, const mf_step *s) {
    if ((s->op != MF_SIN && s->op != MF_COS) || s->x < 0) return 0;
    const double *x = mf_at(r, s->x);
    for (long l = 0; l < r->n; l++)
        if (fabs(x[l]) >= 1e6) return 1;
    return 0;
}

static int mf_lane_forward(const mf_run *r, const mf_step *s) {
    if (s->op == MF_DOT) {
        mf_dot_forward(r, s);
    } else if (s->op == MF_TAKE) {
        return mf_take_forward(r, s);
    } else if (s->op == MF_DETACH) {
        memcpy(mf_at(r, s->z), mf_at(r, s->x), (size_t)r->n * sizeof(double));
    } else if (mf_needs_libm(r, s)) {
        for (long l = 0; l < r->n; l++)
            mf_forward(s->op, mf_at(r, s->x)[l], 0.0, &mf_at(r, s->z)[l]);
    } else {
        const double *y = s->y == MF_NO_SLOT ? NULL : mf_at(r, s->y);
        r->kernels->forward(s->op, s->x >= 0, s->y >= 0, r->n, mf_at(r, s->x), y, mf_at(r, s->z));
    }
    return MF_REPLAY_OK;
}

static void mf_lane_backward(const mf_run *r, const mf_step *s) {
    if (s->op == MF_DOT) {
        mf_dot_backward(r, s);
    } else if (s->op == MF_TAKE) {
        mf_take_backward(r, s);
    } else if (mf_needs_libm(r, s)) {
        double *d = mf_grad_at(r, s->x), dx = 0.0, dy = 0.0;
        for (long l = 0; l < r->n && mf_wants(r, s->x); l++) {
            mf_partials(s->op, mf_at(r, s->x)[l], 0.0, mf_at(r, s->z)[l], &dx, &dy);
            d[l] += dx * mf_grad_at(r, s->z)[l];
        }
    } else if (s->op != MF_DETACH) {
        const double *x = mf_at(r, s->x), *z = mf_at(r, s->z), *g = mf_grad_at(r, s->z);
        const double *y = s->y == MF_NO_SLOT ? NULL : mf_at(r, s->y);
        const int xs = s->x >= 0, ys = s->y >= 0;
        if (mf_wants(r, s->x))
            r->kernels->backward_x(s->op, xs, ys, r->n, x, y, z, g, mf_grad_at(r, s->x));
        if (y != NULL && mf_wants(r, s->y))
            r->kernels->backward_y(s->op, xs, ys, r->n, x, y, z, g, mf_grad_at(r, s->y));
    }
}

/* ---- a tile, a call ---- */

static void mf_seed_tile(const mf_run *r, const mf_job *job, long from) {
    const mf_plan *p = r->plan;
    memset(r->ws.row_grads, 0, (size_t)p->n_rows * p->tile * sizeof(double));
    for (int32_t k = 0; k < p->n_outputs; k++) {
        const double *seed = job->seeds == NULL ? NULL : job->seeds + from * p->n_outputs + k;
        if ((job->seeds == NULL && k > 0) || !mf_wants(r, p->outputs[k])) continue;
        double *g = mf_grad_at(r, p->outputs[k]);
        const int step = p->outputs[k] >= 0;
        for (long l = 0; l < r->n; l++) g[step ? l : 0] += seed == NULL ? 1.0 : seed[l * p->n_outputs];
    }
}

static int mf_replay_tile(const mf_run *r, const mf_job *job, long from) {
    const mf_plan *p = r->plan;
    for (int32_t k = 0; k < p->n_columns; k++) {
        const mf_column *c = &job->columns[k];
        double *row = mf_at(r, k);
        for (long l = 0; l < r->n; l++) row[l] = c->data[(from + l) * c->stride];
    }
    for (int32_t k = p->n_uniform_steps; k < p->n_steps; k++) {
        const int error = mf_lane_forward(r, &p->steps[k]);
        if (error) return error;
    }
    for (int32_t k = 0; k < p->n_outputs; k++) {
        const double *z = mf_at(r, p->outputs[k]);
        const int step = p->outputs[k] >= 0;
        for (long l = 0; l < r->n; l++)
            job->outputs[(from + l) * p->n_outputs + k] = z[step ? l : 0];
    }
    if (!job->backward) return MF_REPLAY_OK;
    mf_seed_tile(r, job, from);
    for (int32_t k = p->n_steps - 1; k >= p->n_uniform_steps; k--)
        if (p->steps[k].wants_gradient) mf_lane_backward(r, &p->steps[k]);
    for (int32_t k = 0; k < p->n_columns; k++) {
        const mf_column *c = &job->columns[k];
        const double *g = mf_grad_at(r, k);
        if (c->grad == NULL) continue;
        for (long l = 0; l < r->n; l++) c->grad[(from + l) * c->stride] = g[l];
    }
    return MF_REPLAY_OK;
}

/* Runs the job. Afterwards ws->uniform_grads holds the gradients of all uniform slots. */
static int mf_replay(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                     const mf_job *job) {
    mf_run r = {p, kernels, *ws, 0};
    for (int32_t k = 0; k < p->n_uniform_steps; k++) {
        const int error = mf_uniform_forward(&r, &p->steps[k]);
        if (error) return error;
    }
    if (job->backward) memset(ws->uniform_grads, 0, (size_t)p->n_uniforms * sizeof(double));
    for (long from = 0; from < job->n_samples; from += p->tile) {
        r.n = job->n_samples - from < p->tile ? job->n_samples - from : p->tile;
        const int error = mf_replay_tile(&r, job, from);
        if (error) return error;
    }
    for (int32_t k = p->n_uniform_steps - 1; job->backward && k >= 0; k--)
        if (p->steps[k].wants_gradient) mf_uniform_backward(&r, &p->steps[k]);
    return MF_REPLAY_OK;
}

#endif
