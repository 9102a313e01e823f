/* Backward from some results of a plan without lanes over what they reach and nothing else, so that a
 * single result of a call does not cost what the call does. Of a step that computes many values only
 * the stretch that is reached runs. What the steps computed is read where the call left it. */
#ifndef MF_REACHED_H
#define MF_REACHED_H

#include "base/arena.h"
#include "base/flush.h"
#include "plan/verify.h"
#include "run/replay.h"

enum { MF_NOT_COMPUTED = -1 };

typedef struct {
    mf_check check;     /* first of all: a visit of operands comes with it */
    int32_t *step_of;   /* by uniform: the step that passes its adjoint on, or MF_NOT_COMPUTED */
    mf_range *stretch;  /* by step: which of its results are reached */
    uint64_t *pending;  /* by step a bit: whether any are, and it is still to run */
    double *grads;      /* by uniform: zeros between walks */
    mf_range *ends;     /* uniforms whose adjoints go no further, in any order */
    int32_t n_ends, cap_ends;
    mf_arena memory;
} mf_reached;

static inline int32_t mf_n_words(const mf_plan *p) { return (p->n_uniform_steps + 63) / 64; }

/* Whether a plan is one that this is for. */
static inline int mf_is_without_lanes(const mf_plan *p) {
    return p->n_rows == 0 && p->n_steps == p->n_uniform_steps;
}

static inline void mf_reached_free(mf_reached *t) {
    mf_arena_free(&t->memory);
    *t = (mf_reached){0};
}

/* For a plan, which must outlive it; 0 when memory has run out. */
static int mf_reached_make(mf_reached *t, const mf_plan *p) {
    const uint64_t n_uniforms = (uint64_t)p->n_uniforms, n_steps = (uint64_t)p->n_uniform_steps;
    *t = (mf_reached){.check = {.plan = p}, .cap_ends = 64 + p->n_uniforms / 8};
    t->step_of = (int32_t *)mf_taken(&t->memory, n_uniforms, sizeof *t->step_of);
    t->stretch = (mf_range *)mf_taken(&t->memory, n_steps, sizeof *t->stretch);
    t->pending = (uint64_t *)mf_taken(&t->memory, (uint64_t)mf_n_words(p), sizeof *t->pending);
    t->grads = (double *)mf_taken(&t->memory, n_uniforms, sizeof *t->grads);
    t->ends = (mf_range *)mf_taken(&t->memory, (uint64_t)t->cap_ends, sizeof *t->ends);
    if (t->memory.failed) {
        mf_reached_free(t);
        return 0;
    }
    for (int32_t u = 0; u < p->n_uniforms; u++) t->step_of[u] = MF_NOT_COMPUTED;
    for (int32_t k = 0; k < p->n_uniform_steps; k++)
        for (int64_t j = 0; p->steps[k].wants_gradient && j < mf_n_results(&p->steps[k]); j++)
            t->step_of[~p->steps[k].z + j] = k;
    return 1;
}

/* An adjoint that goes no further; where there are too many stretches of them, all are one. */
static void mf_add_end(mf_reached *t, int32_t u) {
    mf_range *last = t->ends + t->n_ends - 1;
    if (t->n_ends > 0 && last->first <= u && u < last->first + last->n) return;
    if (t->n_ends > 0 && u == last->first + last->n) {
        last->n++;
        return;
    }
    if (t->n_ends == t->cap_ends) {
        t->n_ends = 1;
        t->ends[0] = (mf_range){0, t->check.plan->n_uniforms};
        return;
    }
    t->ends[t->n_ends++] = (mf_range){u, 1};
}

/* Notes that an adjoint is written. */
static void mf_reach(mf_reached *t, int32_t u) {
    const int32_t k = t->step_of[u];
    if (k == MF_NOT_COMPUTED) {
        mf_add_end(t, u);
        return;
    }
    mf_range *s = &t->stretch[k];
    const int32_t at = u - ~t->check.plan->steps[k].z;
    if (s->n == 0) {
        *s = (mf_range){at, 1};
        t->pending[k / 64] |= (uint64_t)1 << k % 64;
    } else if (at < s->first) {
        *s = (mf_range){at, s->n + s->first - at};
    } else if (at >= s->first + s->n) {
        s->n = at + 1 - s->first;
    }
}

/* Whether a uniform is one of the step's own results, as inside a chain. */
static inline int mf_is_own(const mf_step *s, int64_t u) {
    return u >= ~s->z && u < ~s->z + mf_n_results(s);
}

static int mf_reach_operands(mf_check *c, mf_span span) {
    for (int64_t j = 0; span.gets_gradient && j < span.n; j++) {
        const int64_t u = span.first + j * span.move;
        if (!mf_is_own(c->step, u)) mf_reach((mf_reached *)c, (int32_t)u);
    }
    return 0;
}

/* A result counts for so much more. */
static void mf_reached_seed(mf_reached *t, int32_t output, double seed) {
    const mf_plan *p = t->check.plan;
    const int32_t u = ~p->outputs[output];
    if (!p->uniform_wants[u]) return;
    mf_reach(t, u);
    t->grads[u] += seed;
}

/* ---- a stretch of a step as a step ---- */

static void mf_cut_matrix(mf_step *s, mf_range stretch) {
    mf_matrix_step *m = &s->matrix;
    const int32_t count = s->count, vector = stretch.first / count, row = stretch.first % count;
    const int32_t end = (stretch.first + stretch.n - 1) / count + 1;
    m->n_vectors = end - vector;
    m->x -= vector * m->vector_move;
    s->z -= vector * count;
    if (m->n_vectors > 1) return;
    s->count = stretch.n;
    s->z -= row;
    m->w += row * m->w_row;
    if (m->bias != MF_NO_SLOT) m->bias -= row * m->bias_move;
}

/* The step over the results that are reached alone, or with as few others as can be. */
static mf_step mf_cut(const mf_step *step, mf_range stretch) {
    mf_step s = *step;
    switch (s.kind) {
    case MF_STEP_OPS:
    case MF_STEP_DETACH:
        s.ops.x -= stretch.first * s.ops.x_move;
        if (s.ops.y != MF_NO_SLOT) s.ops.y -= stretch.first * s.ops.y_move;
        break;
    case MF_STEP_MATRIX: mf_cut_matrix(&s, stretch); return s;
    default: return s; /* of one result, or used as a whole: chains, what is gathered for a sum */
    }
    s.z -= stretch.first;
    s.count = stretch.n;
    return s;
}

/* ---- the walk ---- */

static void mf_reached_step(mf_reached *t, const mf_run *r, int32_t k) {
    const mf_step step = mf_cut(&t->check.plan->steps[k], t->stretch[k]);
    t->stretch[k].n = 0;
    t->check.step = &step;
    mf_visit_all(&t->check, mf_reach_operands);
    mf_uniform_backward(r, &step);
    memset(t->grads + ~step.z, 0, (size_t)mf_n_results(&step) * sizeof(double));
}

/* From the seeds down. Afterwards the adjoints are those at `ends`, which the caller clears by
 * mf_reached_clear; uniforms: those of the call, after its run. */
static void mf_reached_run(mf_reached *t, const mf_kernels *kernels, double *uniforms) {
    const mf_job job = {.n_samples = 1};
    const mf_workspace ws = {.uniforms = uniforms, .uniform_grads = t->grads};
    const mf_run r = {t->check.plan, kernels, &job, ws, 1, MF_LANE_BLOCK, 0, 0, 0};
    const unsigned before = mf_flush_on();
    for (int32_t word = mf_n_words(t->check.plan) - 1; word >= 0; word--)
        while (t->pending[word] != 0) {
            int bit = 63;
            while (!(t->pending[word] >> bit & 1)) bit--;
            t->pending[word] &= ~((uint64_t)1 << bit);
            mf_reached_step(t, &r, 64 * word + bit);
        }
    mf_flush_off(before);
}

static inline void mf_reached_clear(mf_reached *t) {
    for (int32_t k = 0; k < t->n_ends; k++)
        memset(t->grads + t->ends[k].first, 0, (size_t)t->ends[k].n * sizeof(double));
    t->n_ends = 0;
}

#endif
