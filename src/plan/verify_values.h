/* The verifier of plans for values alone: says whether one computes what the plan does that it was made
 * from, which is valid. It follows which row of that each of its rows stands for at the moment, and
 * knows nothing of how rows are found. */
#ifndef MF_VERIFY_VALUES_H
#define MF_VERIFY_VALUES_H

#include "base/array.h"
#include "plan/verify.h"

MF_ARRAY(mf_spans, mf_span)

enum { MF_NOTHING = -1 };

typedef struct {
    mf_check check; /* first: what walks a step's operands knows no other */
    mf_spans spans; /* operands of one step, or of one result */
    int failed;
} mf_walk;

typedef struct {
    mf_walk whole, values;
    int32_t *holds;   /* by row: which row of the whole plan it stands for, or MF_NOTHING */
    int32_t *readers; /* by row: the step that was the last to read it, or MF_NOTHING */
} mf_pair;

static int mf_collect(mf_check *c, mf_span span) {
    mf_walk *w = (mf_walk *)c;
    mf_spans_add(&w->spans, span, &w->failed);
    return w->failed || span.n == 0;
}

static int mf_collect_operands(mf_walk *w, int64_t first, int64_t n) {
    w->spans.n = 0;
    return !mf_visit_operands(&w->check, first, n, mf_collect);
}

/* Whether the operands that were collected are the same numbers; marks rows as read. */
static int mf_same_operands(mf_pair *p, int32_t step) {
    const mf_spans *a = &p->whole.spans, *b = &p->values.spans;
    const int32_t n_rows = p->values.check.plan->n_rows, n_before = p->whole.check.plan->n_rows;
    if (a->n != b->n) return 0;
    for (int32_t k = 0; k < a->n; k++) {
        const mf_span x = a->items[k], y = b->items[k];
        const int is_row = y.first < n_rows;
        if (x.n != y.n || x.move != y.move || is_row != (x.first < n_before)) return 0;
        if (!is_row && x.first - n_before != y.first - n_rows) return 0;
        for (int64_t j = 0; is_row && j < x.n; j++) {
            if (p->holds[y.first + j * y.move] != x.first + j * x.move) return 0;
            p->readers[y.first + j * y.move] = step;
        }
    }
    return 1;
}

/* Whether two steps differ in the names of rows alone. */
static int mf_same_but_rows(mf_step a, mf_step b) {
    int32_t *x[3], *y[3];
    if (a.kind != b.kind) return 0;
    for (int k = mf_row_fields(&a, x) - 1; k >= 0; k--) {
        mf_row_fields(&b, y);
        if ((*x[k] >= 0) != (*y[k] >= 0)) return 0;
        if (*x[k] >= 0) *y[k] = *x[k];
    }
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Results i .. i + n - 1 of a step. */
static int mf_same_results(mf_pair *p, int32_t step, int64_t i, int64_t n) {
    const int64_t from = p->whole.check.step->z + i, to = p->values.check.step->z + i;
    if (!mf_collect_operands(&p->whole, i, n) || !mf_collect_operands(&p->values, i, n)) return 0;
    if (!mf_same_operands(p, step)) return 0;
    for (int64_t j = 0; j < n; j++) {
        if (p->readers[to + j] == step) return 0; /* kernels read while they write */
        p->holds[to + j] = (int32_t)(from + j);
    }
    return 1;
}

static int mf_same_step(mf_pair *p, int32_t step) {
    const mf_plan *whole = p->whole.check.plan, *values = p->values.check.plan;
    if (!mf_same_but_rows(whole->steps[step], values->steps[step])) return 0;
    if (step < whole->n_uniform_steps) return 1;
    mf_look_at(&p->whole.check, step);
    mf_look_at(&p->values.check, step);
    const mf_step *s = p->values.check.step;
    const int64_t n = mf_n_results(s), at_once = s->kind == MF_STEP_CHAIN ? 1 : n;
    if (mf_shape_fault(&p->values.check) != NULL) return 0;
    if (mf_place_of(&p->values.check, s->z, n - 1) < 0) return 0;
    for (int64_t i = 0; i < n; i += at_once)
        if (!mf_same_results(p, step, i, at_once)) return 0;
    return 1;
}

static int mf_same_outputs(const mf_pair *p) {
    const mf_plan *whole = p->whole.check.plan, *values = p->values.check.plan;
    for (int32_t k = 0; k < whole->n_outputs; k++) {
        const int32_t a = whole->outputs[k], b = values->outputs[k];
        if (b < 0 || a < 0 ? a != b : b >= values->n_rows || p->holds[b] != a) return 0;
    }
    return 1;
}

/* Sizes, and that all goes into the workspace of the whole plan. */
static int mf_same_sizes(const mf_plan *whole, const mf_plan *values) {
    return values->n_steps == whole->n_steps && values->n_uniform_steps == whole->n_uniform_steps &&
           values->n_args == whole->n_args && values->n_outputs == whole->n_outputs &&
           values->n_columns == whole->n_columns && values->n_uniforms == whole->n_uniforms &&
           values->n_rows >= values->n_columns && values->tile >= MF_LANE_BLOCK &&
           values->tile % MF_LANE_BLOCK == 0 &&
           (int64_t)values->n_rows * values->tile <= 2 * (int64_t)whole->n_rows * whole->tile;
}

/* What is wrong with a plan for values alone, NULL for nothing; *step: with which step, or -1. */
static const char *mf_values_fault(const mf_plan *whole, const mf_plan *values, mf_arena *memory,
                                   int32_t *step) {
    mf_pair p = {.holds = NULL};
    const char *fault = NULL;
    p.whole.check.plan = whole;
    p.values.check.plan = values;
    *step = -1;
    if (!mf_same_sizes(whole, values)) return "values alone: it is of another size";
    p.holds = (int32_t *)mf_taken(memory, (uint64_t)values->n_rows, sizeof *p.holds);
    p.readers = (int32_t *)mf_taken(memory, (uint64_t)values->n_rows, sizeof *p.readers);
    if (memory->failed) return NULL;
    for (int32_t k = 0; k < values->n_rows; k++) {
        p.holds[k] = k < values->n_columns ? k : MF_NOTHING;
        p.readers[k] = MF_NOTHING;
    }
    for (*step = 0; fault == NULL && *step < whole->n_steps; ++*step)
        if (!mf_same_step(&p, *step)) {
            fault = "values alone: it does not compute the same";
            break;
        }
    if (fault == NULL) *step = -1;
    if (fault == NULL && !mf_same_outputs(&p)) fault = "values alone: an output is another number";
    memory->failed |= p.whole.failed | p.values.failed;
    free(p.whole.spans.items);
    free(p.values.spans.items);
    return fault;
}

#endif
