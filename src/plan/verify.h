/* The verifier of plans: says whether the executor (replay.h) may run one. It knows what each step
 * reads and writes, forward and backward, and nothing of how plans are made; no Python.
 *
 * Of every step: results and operands lie inside the workspace and are of the kind, a row of lanes or
 * a uniform number, that the executor takes them for; each operand was written before, each slot is
 * written once. Of every adjoint: it starts from zero or is set, and the steps that pass it on are
 * those that must. A plan that passes may compute something else than its program: tests of numbers
 * are for that. */
#ifndef MF_VERIFY_H
#define MF_VERIFY_H

#include "plan/step.h"
#include "program/program.h"

enum { MF_ROW = 1, MF_UNIFORM = 2 }; /* kinds of slots */

/* What is known of a slot; the caller lends a byte for each row, then for each uniform. */
enum {
    MF_SLOT_KNOWN = 1,   /* written by a step, or given: the caller marks the uniform ones */
    MF_SLOT_REACHED = 2, /* an output, or passed gradient by a step that reads it */
    MF_SLOT_READ = 4,    /* over lanes, by a step that adds to its adjoint, or as an output */
    MF_SLOT_SHARED = 8,  /* so more than once */
    MF_SLOT_ZEROED = 16  /* the adjoint starts from zero */
};

typedef struct {
    const mf_plan *plan;
    uint8_t *slots;
    const mf_step *step;
    int over_lanes; /* the step's kind */
} mf_check;

/* A slot as the place in c->slots; negative: there is no such slot. */
static inline int64_t mf_place(const mf_check *c, int is_row, int64_t position) {
    if (position < 0 || position >= (is_row ? c->plan->n_rows : c->plan->n_uniforms)) return -1;
    return is_row ? position : c->plan->n_rows + position;
}

static inline int64_t mf_place_of(const mf_check *c, int32_t slot, int64_t j) {
    return mf_place(c, slot >= 0, (slot >= 0 ? (int64_t)slot : ~(int64_t)slot) + j);
}

static inline int mf_slot_wants(const mf_check *c, int64_t place) {
    return place < c->plan->n_rows ? c->plan->row_wants[place]
                                   : c->plan->uniform_wants[place - c->plan->n_rows];
}

static inline int mf_is_unary(int32_t op) { return mf_ops[op].kind == MF_UNARY; }

/* ---- operands ---- */

/* Operands at a regular distance; n 0: there are no such slots, or of another kind than the executor
 * takes them for. */
typedef struct {
    int64_t first, n, move; /* places */
    int gets_gradient;
} mf_span;

/* What it returns but 0 ends the walk. */
typedef int mf_visit(mf_check *c, mf_span span);

static inline int mf_visit_span(mf_check *c, int is_row, int64_t first, int64_t n, int64_t move,
                                int gets_gradient, mf_visit *visit) {
    const int fits = mf_place(c, is_row, first) >= 0 && mf_place(c, is_row, first + (n - 1) * move) >= 0;
    if (move == 0 && n > 2) n = 2; /* one slot over and over: twice tells as much, however often */
    return visit(c, (mf_span){mf_place(c, is_row, first), fits ? n : 0, move, gets_gradient});
}

/* n slots from `slot` + `from` on. */
static inline int mf_visit_slots(mf_check *c, int32_t slot, int64_t from, int64_t n, int64_t move,
                                 int kinds, mf_visit *visit) {
    if (!(kinds & (slot >= 0 ? MF_ROW : MF_UNIFORM))) return visit(c, (mf_span){0, 0, 0, 0});
    return mf_visit_span(c, slot >= 0, (slot >= 0 ? (int64_t)slot : ~(int64_t)slot) + from, n, move, 1,
                         visit);
}

/* Biases of n results, as far apart as `move` says. */
static inline int mf_visit_bias(mf_check *c, int32_t bias, int64_t from, int64_t n, int64_t move,
                                int kinds, mf_visit *visit) {
    return bias == MF_NO_SLOT ? 0 : mf_visit_slots(c, bias, from * move, n, move, kinds, visit);
}

/* Slots that get no gradient. */
static inline int mf_visit_unwanted(mf_check *c, int32_t slot, int64_t from, int64_t n, int64_t move,
                                    int is_fit, mf_visit *visit) {
    if (!is_fit) return visit(c, (mf_span){0, 0, 0, 0});
    return mf_visit_span(c, slot >= 0, mf_position(slot) + from, n, move, 0, visit);
}

/* Results first .. first + n - 1 are of vector first / count, or all of all. */
static inline int mf_visit_matrix(mf_check *c, int64_t first, int64_t n, int own, mf_visit *visit) {
    const mf_matrix_step *s = &c->step->matrix;
    const int64_t count = c->step->count, m = first % count, rows = n < count ? n : count;
    int found = mf_visit_bias(c, s->bias, m, rows, s->bias_move, own | MF_UNIFORM, visit);
    for (int64_t i = m; !found && i < m + rows; i++)
        found = mf_visit_span(c, 0, s->w + i * s->w_row, s->n, s->w_col, 1, visit);
    for (int64_t i = first; !found && i < first + n; i += count)
        found = mf_visit_slots(c, s->x, i / count * s->vector_move, s->n, 1, own, visit);
    return found;
}

static inline int mf_visit_inner(mf_check *c, int own, mf_visit *visit) {
    const mf_inner_step *s = &c->step->inner;
    int found = mf_visit_bias(c, s->bias, 0, 1, 0, own, visit);
    if (!found) found = mf_visit_span(c, 0, s->w, s->n, s->w_move, 1, visit);
    return found ? found : mf_visit_slots(c, s->x, 0, s->n, 1, own, visit);
}

/* n args of the plan. */
static inline int mf_visit_args(mf_check *c, int64_t first, int64_t n, int kinds, mf_visit *visit) {
    int found = 0;
    for (int64_t j = first; !found && j < first + n; j++)
        found = mf_visit_slots(c, c->plan->args[j], 0, 1, 0, kinds, visit);
    return found;
}

/* Pairs of a dot: uniform and row, then two of the step's own kind. */
static inline int mf_visit_dot(mf_check *c, int own, int any, mf_visit *visit) {
    const mf_dot_step *s = &c->step->dot;
    int found = mf_visit_bias(c, s->bias, 0, 1, 0, any, visit);
    for (int32_t j = 0; !found && j < 2 * s->n_rows; j++)
        found = mf_visit_args(c, s->args + (int64_t)j, 1, j % 2 ? own : MF_UNIFORM, visit);
    if (found) return found;
    return mf_visit_args(c, s->args + 2 * (int64_t)s->n_rows, 2 * (int64_t)s->n_pairs, own, visit);
}

static inline int mf_visit_chain(mf_check *c, int64_t first, int64_t n, int own, int any,
                                 mf_visit *visit) {
    const mf_chain_step *s = &c->step->chain;
    int found = 0;
    for (int64_t i = first; !found && i < first + n; i++) {
        found = i ? mf_visit_slots(c, c->step->z, i - 1, 1, 0, own, visit)
                  : mf_visit_slots(c, s->x, 0, 1, 0, any, visit);
        if (!found) found = mf_visit_args(c, s->args + i, 1, any, visit);
    }
    return found;
}

static inline int mf_visit_ops(mf_check *c, int64_t first, int64_t n, int any, mf_visit *visit) {
    const mf_ops_step *s = &c->step->ops;
    const int found = mf_visit_slots(c, s->x, first * s->x_move, n, s->x_move, any, visit);
    if (found || mf_is_unary(s->op)) return found;
    return mf_visit_slots(c, s->y, first * s->y_move, n, s->y_move, any, visit);
}

/* Operands of n results of the step: of one, or of all. */
static inline int mf_visit_operands(mf_check *c, int64_t first, int64_t n, mf_visit *visit) {
    const mf_step *s = c->step;
    const int own = c->over_lanes ? MF_ROW : MF_UNIFORM, any = own | MF_UNIFORM;
    int found = 0;
    switch (s->kind) {
    case MF_STEP_OPS: return mf_visit_ops(c, first, n, any, visit);
    case MF_STEP_DETACH: /* a row or number, but no gradient */
        return mf_visit_unwanted(c, s->ops.x, first * s->ops.x_move, n, s->ops.x_move,
                                 (s->ops.x >= 0) == c->over_lanes, visit);
    case MF_STEP_DOT: return mf_visit_dot(c, own, any, visit);
    case MF_STEP_MATRIX: return mf_visit_matrix(c, first, n, own, visit);
    case MF_STEP_INNER: return mf_visit_inner(c, own, visit);
    case MF_STEP_GATHER: return mf_visit_args(c, s->gather.args + first, n, any, visit);
    case MF_STEP_CHAIN: return mf_visit_chain(c, first, n, own, any, visit);
    case MF_STEP_TAKE: /* nor by the index */
        found = mf_visit_unwanted(c, s->take.index, 0, 1, 0, s->take.index < 0 || c->over_lanes, visit);
        return found ? found : mf_visit_args(c, s->take.args, s->take.n, any, visit);
    case MF_STEP_EXTREME: return mf_visit_args(c, s->extreme.args, s->extreme.n, any, visit);
    default: return 1; /* no such kind: mf_step_fits says so first */
    }
}

static inline int mf_visit_all(mf_check *c, mf_visit *visit) {
    return mf_visit_operands(c, 0, mf_n_results(c->step), visit);
}

static int mf_is_unknown(mf_check *c, mf_span span) {
    for (int64_t k = 0; k < span.n; k++)
        if (!(c->slots[span.first + k * span.move] & MF_SLOT_KNOWN)) return 1;
    return span.n == 0;
}

static int mf_does_want(mf_check *c, mf_span span) {
    for (int64_t k = 0; span.gets_gradient && k < span.n; k++)
        if (mf_slot_wants(c, span.first + k * span.move)) return 1;
    return 0;
}

static int mf_mark_reached(mf_check *c, mf_span span) {
    for (int64_t k = 0; span.gets_gradient && k < span.n; k++)
        c->slots[span.first + k * span.move] |= MF_SLOT_REACHED;
    return 0;
}

static int mf_mark_read(mf_check *c, mf_span span) {
    for (int64_t k = 0; span.gets_gradient && k < span.n; k++) {
        uint8_t *flags = &c->slots[span.first + k * span.move];
        *flags |= *flags & MF_SLOT_READ ? MF_SLOT_SHARED : MF_SLOT_READ;
    }
    return 0;
}

/* ---- the shape of a step ---- */

static int mf_args_fit(const mf_check *c, int32_t args, int64_t n) {
    return args >= 0 && n > 0 && args + n <= c->plan->n_args;
}

static int mf_is_move(int32_t move) { return move == 0 || move == 1; }

/* Rows side by side or columns side by side, never one over the other: kernels add to several rows
 * of adjoints at once. */
static int mf_matrix_fits(const mf_check *c) {
    const mf_matrix_step *s = &c->step->matrix;
    const int32_t count = c->step->count, wider = s->n > count ? s->n : count;
    if (s->n < 1 || s->n_vectors < 1 || (c->over_lanes && s->n_vectors != 1)) return 0;
    if (s->n_vectors > 1 && s->vector_move < s->n) return 0;
    if (!(s->w_col == 1 && s->w_row >= s->n) && !(s->w_row == 1 && s->w_col >= count)) return 0;
    if (s->sole_user && (!c->over_lanes || !s->wants_w || !c->step->wants_gradient)) return 0;
    return !c->over_lanes || c->plan->scratch >= (int64_t)wider + MF_LANE_BLOCK;
}

/* Kernels know operands that are rows, or one number for all of a row. */
static int mf_op_fits(const mf_check *c, int32_t op, int32_t x, int32_t y) {
    if (!mf_is_table_op(op)) return 0;
    if (mf_is_unary(op)) return y == MF_NO_SLOT && (!c->over_lanes || x >= 0);
    return y != MF_NO_SLOT && (!c->over_lanes || x >= 0 || y >= 0);
}

/* Of several numbers, the lanes of a uniform step, one operand at least moves. */
static int mf_ops_fits(const mf_check *c) {
    const mf_ops_step *s = &c->step->ops;
    const int is_detach = c->step->kind == MF_STEP_DETACH;
    if (!is_detach && !mf_op_fits(c, s->op, s->x, s->y)) return 0;
    const int is_unary = is_detach || mf_is_unary(s->op);
    if (!mf_is_move(s->x_move) || (!is_detach && !mf_is_move(s->y_move))) return 0;
    return c->over_lanes || c->step->count == 1 || s->x_move || (!is_unary && s->y_move);
}

static int mf_chain_fits(const mf_check *c) {
    const mf_chain_step *s = &c->step->chain;
    if (!mf_is_table_op(s->op) || mf_ops[s->op].kind != MF_BINARY) return 0;
    return mf_args_fit(c, s->args, c->step->count) && mf_op_fits(c, s->op, s->x, c->plan->args[s->args]);
}

static int mf_dot_fits(const mf_check *c) {
    const mf_dot_step *s = &c->step->dot;
    return c->step->count == 1 && s->n_rows >= 0 && s->n_pairs >= 0 && (c->over_lanes || !s->n_rows) &&
           mf_args_fit(c, s->args, 2 * ((int64_t)s->n_rows + s->n_pairs));
}

static int mf_inner_fits(const mf_check *c) {
    const mf_inner_step *s = &c->step->inner;
    return !c->over_lanes && c->step->count == 1 && s->n > 0 && mf_is_move(s->w_move);
}

static int mf_extreme_fits(const mf_check *c) {
    const mf_extreme_step *s = &c->step->extreme;
    return c->step->count == 1 && (s->op == MF_LARGEST || s->op == MF_SMALLEST) &&
           mf_args_fit(c, s->args, s->n);
}

/* Whether the fields of a step fit its kind, whatever its operands are. */
static int mf_step_fits(const mf_check *c) {
    const mf_step *s = c->step;
    switch (s->kind) {
    case MF_STEP_OPS:
    case MF_STEP_DETACH: return mf_ops_fits(c);
    case MF_STEP_DOT: return mf_dot_fits(c);
    case MF_STEP_MATRIX: return mf_matrix_fits(c);
    case MF_STEP_INNER: return mf_inner_fits(c);
    case MF_STEP_GATHER: return mf_args_fit(c, s->gather.args, s->count);
    case MF_STEP_CHAIN: return mf_chain_fits(c);
    case MF_STEP_TAKE: return s->count == 1 && mf_args_fit(c, s->take.args, s->take.n);
    case MF_STEP_EXTREME: return mf_extreme_fits(c);
    default: return 0;
    }
}

static const char *mf_shape_fault(const mf_check *c) {
    if (c->step->count < 1) return "it has no results";
    return mf_step_fits(c) ? NULL : "its fields do not fit its kind";
}

/* ---- the parts of a plan ---- */

static const char *const mf_unreadable =
    "it reads what is of another kind, outside of the workspace, or not yet written";

/* Forward: what the step reads was written, what it writes was not. */
static const char *mf_forward_fault(mf_check *c) {
    const mf_step *s = c->step;
    const int64_t n = mf_n_results(s);
    const char *fault = mf_shape_fault(c);
    if (fault != NULL) return fault;
    if ((s->z >= 0) != c->over_lanes) return "its results are of the other kind";
    if (mf_place_of(c, s->z, 0) < 0 || mf_place_of(c, s->z, n - 1) < 0)
        return "its results lie outside of the workspace";
    if (s->kind != MF_STEP_CHAIN && mf_visit_all(c, mf_is_unknown)) return mf_unreadable;
    for (int64_t i = 0; i < n; i++) {
        if (s->kind == MF_STEP_CHAIN && mf_visit_operands(c, i, 1, mf_is_unknown)) return mf_unreadable;
        uint8_t *flags = &c->slots[mf_place_of(c, s->z, i)];
        if (*flags & MF_SLOT_KNOWN) return "it writes what was written before";
        *flags |= MF_SLOT_KNOWN;
    }
    return NULL;
}

static int mf_any_wants(mf_check *c, int32_t slot, int64_t from, int64_t n, int64_t move) {
    return mf_visit_slots(c, slot, from, n, move, MF_ROW | MF_UNIFORM, mf_does_want);
}

/* wants_w and wants_x of a matrix or an inner product, which the executor goes by. */
static int mf_factors_fit(mf_check *c) {
    const mf_step *s = c->step;
    int w = 0, x = 0;
    if (s->kind == MF_STEP_INNER) {
        w = mf_any_wants(c, ~s->inner.w, 0, s->inner.n, s->inner.w_move);
        x = mf_any_wants(c, s->inner.x, 0, s->inner.n, 1);
        return !!s->inner.wants_w == w && !!s->inner.wants_x == x;
    }
    if (s->kind != MF_STEP_MATRIX) return 1;
    const mf_matrix_step *matrix = &s->matrix;
    for (int64_t m = 0; !w && m < s->count; m++)
        w = mf_any_wants(c, ~matrix->w, m * matrix->w_row, matrix->n, matrix->w_col);
    for (int64_t v = 0; !x && v < matrix->n_vectors; v++)
        x = mf_any_wants(c, matrix->x, v * matrix->vector_move, matrix->n, 1);
    return !!matrix->wants_w == w && !!matrix->wants_x == x;
}

/* Whether gradient reaches a result that has operands to pass it on to, but does not want it. */
static int mf_keeps_gradient(mf_check *c) {
    const mf_step *s = c->step;
    for (int64_t i = 0; i < mf_n_results(s); i++) {
        const int64_t place = mf_place_of(c, s->z, i);
        if (mf_slot_wants(c, place) || !(c->slots[place] & MF_SLOT_REACHED)) continue;
        /* All members of a chain are on the way from its end. */
        const int64_t first = s->kind == MF_STEP_CHAIN ? 0 : i, n = s->kind == MF_STEP_CHAIN ? i + 1 : 1;
        if (mf_visit_operands(c, first, n, mf_does_want)) return 1;
    }
    return 0;
}

/* Backward, last step first: the step passes gradient on where something is to get it, and only
 * then. */
static const char *mf_backward_fault(mf_check *c) {
    const mf_step *s = c->step;
    int reached = 0;
    for (int64_t i = 0; i < mf_n_results(s); i++) {
        const int64_t place = mf_place_of(c, s->z, i);
        const int wants = mf_slot_wants(c, place);
        if (c->over_lanes ? wants != !!s->wants_gradient : wants && !s->wants_gradient)
            return "its results do not want gradient as it does";
        reached |= c->slots[place] & MF_SLOT_REACHED;
    }
    if (!mf_factors_fit(c)) return "its flags do not say which factors want gradient";
    if (reached && mf_keeps_gradient(c)) return "it keeps gradient from its operands";
    if (!s->wants_gradient) return NULL;
    if (!reached || !mf_visit_all(c, mf_does_want)) return "it has no gradient to pass on";
    mf_visit_all(c, mf_mark_reached);
    return NULL;
}

/* Nobody else adds to the adjoints that a sole user sets. */
static const char *mf_weights_fault(mf_check *c) {
    const mf_matrix_step *s = &c->step->matrix;
    if (c->step->kind != MF_STEP_MATRIX || !s->sole_user) return NULL;
    for (int64_t m = 0; m < c->step->count; m++)
        for (int64_t j = 0; j < s->n; j++) {
            uint8_t *flags = &c->slots[c->plan->n_rows + s->w + m * s->w_row + j * s->w_col];
            if (*flags & MF_SLOT_SHARED) return "it is not the sole user of its weights";
            *flags |= MF_SLOT_ZEROED;
        }
    return NULL;
}

static int mf_mark_zeroed(mf_check *c, int is_row, const mf_range *ranges, int32_t n) {
    for (int32_t k = 0; k < n; k++) {
        const mf_range range = ranges[k];
        if (range.n < 0 || (range.n && (mf_place(c, is_row, range.first) < 0 ||
                                        mf_place(c, is_row, (int64_t)range.first + range.n - 1) < 0)))
            return 0;
        for (int32_t j = 0; j < range.n; j++)
            c->slots[mf_place(c, is_row, range.first + j)] |= MF_SLOT_ZEROED;
    }
    return 1;
}

static const char *mf_whole_fault(mf_check *c) {
    const mf_plan *p = c->plan;
    if (p->n_uniform_steps < 0 || p->n_steps < p->n_uniform_steps || p->n_rows < 0 ||
        p->n_uniforms < 0 || p->n_outputs < 0)
        return "a count is negative";
    if (p->tile < MF_LANE_BLOCK || p->tile % MF_LANE_BLOCK) return "a tile is no block of lanes";
    if (p->n_columns < 0 || p->n_columns > p->n_rows) return "it has more columns than rows";
    for (int32_t k = 0; k < p->n_columns; k++) c->slots[k] |= MF_SLOT_KNOWN;
    if (!mf_mark_zeroed(c, 1, p->wanted_rows, p->n_wanted_rows) ||
        !mf_mark_zeroed(c, 0, p->summed_uniforms, p->n_summed_uniforms))
        return "adjoints to be cleared lie outside of the workspace";
    return NULL;
}

static const char *mf_outputs_fault(mf_check *c) {
    const mf_plan *p = c->plan;
    for (int32_t k = 0; k < p->n_outputs; k++) {
        const int64_t place = mf_place_of(c, p->outputs[k], 0);
        if (place < 0 || !(c->slots[place] & MF_SLOT_KNOWN)) return "an output is never written";
        c->slots[place] |= MF_SLOT_REACHED;
        mf_mark_read(c, (mf_span){place, 1, 0, 1});
    }
    return NULL;
}

static const char *mf_adjoints_fault(const mf_check *c) {
    const mf_plan *p = c->plan;
    for (int32_t k = 0; k < p->n_rows; k++)
        if (p->row_wants[k] && !(c->slots[k] & MF_SLOT_ZEROED)) return "a row's adjoint is not cleared";
    for (int32_t k = 0; k < p->n_uniforms; k++)
        if (!(c->slots[p->n_rows + k] & MF_SLOT_ZEROED)) return "a number's adjoint is not cleared";
    return NULL;
}

static void mf_look_at(mf_check *c, int32_t k) {
    c->step = &c->plan->steps[k];
    c->over_lanes = k >= c->plan->n_uniform_steps;
}

/* What is wrong with a plan, NULL for nothing; *step: with which of its steps, or -1. slots: a byte for
 * each row and uniform, MF_SLOT_KNOWN for the uniforms that are given, else 0. */
static const char *mf_plan_fault(const mf_plan *p, uint8_t *slots, int32_t *step) {
    mf_check c = {p, slots, NULL, 0};
    const char *fault = mf_whole_fault(&c);
    for (*step = 0; fault == NULL && *step < p->n_steps; ++*step) {
        mf_look_at(&c, *step);
        fault = mf_forward_fault(&c);
        if (fault != NULL) return fault;
    }
    *step = -1;
    if (fault == NULL) fault = mf_outputs_fault(&c);
    if (fault != NULL) return fault;
    for (*step = p->n_steps - 1; *step >= 0; --*step) {
        mf_look_at(&c, *step);
        fault = mf_backward_fault(&c);
        if (fault != NULL) return fault;
        if (c.over_lanes && c.step->wants_gradient) mf_visit_all(&c, mf_mark_read);
    }
    for (*step = p->n_uniform_steps; *step < p->n_steps; ++*step) {
        mf_look_at(&c, *step);
        fault = mf_weights_fault(&c);
        if (fault != NULL) return fault;
    }
    *step = -1;
    return mf_adjoints_fault(&c);
}

/* ---- what is given ---- */

static int mf_mark_uniform(const mf_plan *p, int32_t slot, uint8_t *slots) {
    if (slot == MF_NO_SLOT) return 1;
    if (slot >= 0 || ~slot >= p->n_uniforms) return 0;
    uint8_t *flags = slots + p->n_rows + ~slot;
    if (*flags) return 0;
    *flags = MF_SLOT_KNOWN;
    return 1;
}

/* Marks the uniforms that a call fills in before steps run. False where two of them share a slot, or
 * the inputs over lanes are not the first rows. */
static int mf_mark_given(const mf_plan *p, uint8_t *slots) {
    int32_t n_columns = 0;
    int fits = 1;
    for (int32_t k = 0; k < p->n_inputs; k++) {
        const int32_t slot = p->input_slots[k];
        n_columns += slot >= 0;
        fits &= slot >= 0 ? slot < p->n_columns : mf_mark_uniform(p, slot, slots);
    }
    for (int32_t k = 0; k < p->n_captured; k++) fits &= mf_mark_uniform(p, p->captured_slots[k], slots);
    for (int32_t k = 0; k < p->n_numbers; k++) fits &= mf_mark_uniform(p, p->numbers[k].slot, slots);
    return fits && n_columns == p->n_columns;
}

/* The verdict on a plan that the compiler has made: every one is verified before it runs. */
static const char *mf_verify_plan(const mf_plan *p, mf_arena *memory, int32_t *step) {
    uint8_t *slots = (uint8_t *)mf_taken(memory, (uint64_t)p->n_rows + (uint64_t)p->n_uniforms, 1);
    *step = -1;
    if (slots == NULL) return NULL;
    if (!mf_mark_given(p, slots)) return "what is given is not where it should be";
    return mf_plan_fault(p, slots, step);
}

#endif
