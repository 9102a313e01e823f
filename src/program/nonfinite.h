/* Where a nan or an infinity came from: a program run op by op over one sample, forward and backward,
 * by the op table's scalar code, and the first op that made one of what is finite.
 *
 * What counts is what reaches a result, or then a gradient, by way of values that are not finite
 * themselves: exp(1000) in an arm that is not taken does not, nor does 1 / exp(1000). Numbers of the
 * code (an inf that somebody wrote) are nobody's fault: the op on them is. Backward is that of
 * compiled code (base/reach.h), from the sum of the results to every input and captured number. */
#ifndef MF_NONFINITE_H
#define MF_NONFINITE_H

#include <string.h>

#include "base/arena.h"
#include "base/reach.h"
#include "program/program.h"

/* From harmless to what hides the others. */
enum { MF_ALL_FINITE = 0, MF_UNUSED, MF_BACKWARD, MF_FORWARD, MF_BAD_INDEX };

typedef struct {
    int kind;
    int32_t value;    /* whose op it is, or MF_NO_VALUE */
    int32_t operand;  /* backward: whose adjoint it spoiled */
    int32_t gradient; /* the input or captured number whose gradient it reaches, or MF_NO_VALUE */
    int32_t n_samples; /* that have a fault in results or gradients */
    int64_t sample;
} mf_nonfinite;

typedef struct {
    const mf_program *p;
    const int32_t *rank;     /* by value: its place in the order in which the code made them */
    const double *captured;
    double *inputs;          /* of the sample; the caller fills them */
    double *value, *adjoint;
    int32_t *overflow;       /* by value: whose share made a sum of finite ones infinite */
    uint8_t *reaches;        /* by value */
    mf_arena memory;
} mf_probe;

static inline void mf_probe_free(mf_probe *t) { mf_arena_free(&t->memory); }

/* 0 when memory has run out. */
static int mf_probe_make(mf_probe *t, const mf_program *p) {
    const uint64_t n = (uint64_t)p->code.n;
    *t = (mf_probe){.p = p};
    t->inputs = (double *)mf_taken(&t->memory, (uint64_t)p->n_inputs, sizeof *t->inputs);
    t->value = (double *)mf_taken(&t->memory, n, sizeof *t->value);
    t->adjoint = (double *)mf_taken(&t->memory, n, sizeof *t->adjoint);
    t->overflow = (int32_t *)mf_taken(&t->memory, n, sizeof *t->overflow);
    t->reaches = (uint8_t *)mf_taken(&t->memory, n, 1);
    return !t->memory.failed;
}

/* ---- forward ---- */

/* Of a take: which operand it chooses, or MF_NO_VALUE where the index is none. */
static int32_t mf_probe_choice(const mf_probe *t, const mf_instruction *i) {
    const double index = t->value[i->y];
    if (!(index >= 0.0 && index < i->n) || index != floor(index)) return MF_NO_VALUE;
    return t->p->args.items[i->x + (int32_t)index];
}

static double mf_probe_extreme(const mf_probe *t, const mf_instruction *i) {
    const int32_t *args = t->p->args.items + i->x;
    double z = t->value[args[0]];
    for (int32_t j = 1; j < i->n; j++) z = mf_extreme_of(i->op, z, t->value[args[j]]);
    return z;
}

static double mf_probe_value(const mf_probe *t, int32_t k) {
    const mf_instruction *i = &t->p->code.items[k];
    double z = 0.0;
    switch (i->op) {
    case MF_INPUT: return t->inputs[i->x];
    case MF_CAPTURED: return t->captured[i->x];
    case MF_NUMBER: return t->p->numbers.items[i->x];
    case MF_DETACH: return t->value[i->x];
    case MF_LARGEST:
    case MF_SMALLEST: return mf_probe_extreme(t, i);
    case MF_TAKE: {
        const int32_t choice = mf_probe_choice(t, i);
        return choice >= 0 ? t->value[choice] : NAN;
    }
    }
    mf_forward(i->op, t->value[i->x], mf_has_y(i->op) ? t->value[i->y] : 0.0, &z);
    return z;
}

/* Whether operand j of instruction k, which is not finite, is why the result is not. */
static int mf_probe_spoils(const mf_probe *t, int32_t k, int32_t j) {
    const mf_instruction *i = &t->p->code.items[k];
    const int32_t operand = mf_operand(t->p, i, j);
    const double x = t->value[operand], z = t->value[k];
    if (isfinite(x) || t->p->code.items[operand].op == MF_NUMBER) return 0;
    if (i->op == MF_TAKE) {
        const int32_t choice = mf_probe_choice(t, i);
        return choice < 0 ? j == 0 : j > 0 && operand == choice;
    }
    const int chooses = i->op == MF_LARGEST || i->op == MF_SMALLEST || mf_is_choice(i->op);
    return !chooses || (z != z ? x != x : x == z);
}

/* Marks the operands that a value is not finite because of; how many there are. */
static int32_t mf_probe_mark_operands(mf_probe *t, int32_t k) {
    const mf_instruction *i = &t->p->code.items[k];
    int32_t found = 0;
    for (int32_t j = 0; j < mf_n_operands(i); j++) {
        if (!mf_probe_spoils(t, k, j)) continue;
        t->reaches[mf_operand(t->p, i, j)] = 1;
        found++;
    }
    return found;
}

/* From the values that are marked down to the one, of those that no operand explains, that the code
 * made first. */
static int32_t mf_probe_first_forward(mf_probe *t) {
    int32_t first = MF_NO_VALUE;
    for (int32_t k = t->p->code.n - 1; k >= 0; k--)
        if (t->reaches[k] && !isfinite(t->value[k]) && mf_probe_mark_operands(t, k) == 0)
            if (first < 0 || t->rank[k] < t->rank[first]) first = k;
    return first;
}

/* Fills the values, and marks the results and indices that are not finite. A kind of fault. */
static int mf_probe_forward(mf_probe *t) {
    int kind = MF_ALL_FINITE;
    memset(t->reaches, 0, (size_t)t->p->code.n);
    for (int32_t k = 0; k < t->p->code.n; k++) {
        const mf_instruction *i = &t->p->code.items[k];
        t->value[k] = mf_probe_value(t, k);
        if (i->op == MF_TAKE && mf_probe_choice(t, i) < 0) {
            if (isfinite(t->value[i->y])) return MF_BAD_INDEX;
            t->reaches[i->y] = 1;
            kind = MF_FORWARD;
        }
        if (kind == MF_ALL_FINITE && !isfinite(t->value[k]) && i->op != MF_NUMBER) kind = MF_UNUSED;
    }
    for (int32_t k = 0; k < t->p->outputs.n; k++) {
        const int32_t output = t->p->outputs.items[k];
        if (isfinite(t->value[output])) continue;
        t->reaches[output] = 1;
        kind = MF_FORWARD;
    }
    return kind;
}

/* ---- backward ---- */

/* What one instruction adds to the adjoint of an operand. */
typedef void mf_probe_share(mf_probe *t, int32_t k, int32_t operand, double share, void *found);

static void mf_probe_pass_on_extreme(mf_probe *t, int32_t k, mf_probe_share *share, void *found) {
    const mf_instruction *i = &t->p->code.items[k];
    const int32_t *args = t->p->args.items + i->x;
    int32_t n_equal = 0;
    for (int32_t j = 0; j < i->n; j++) n_equal += t->value[args[j]] == t->value[k];
    for (int32_t j = 0; j < i->n; j++)
        if (n_equal == 0 || t->value[args[j]] == t->value[k])
            share(t, k, args[j], n_equal == 0 ? NAN : t->adjoint[k] / n_equal, found);
}

static void mf_probe_pass_on(mf_probe *t, int32_t k, mf_probe_share *share, void *found) {
    const mf_instruction *i = &t->p->code.items[k];
    const double g = t->adjoint[k];
    double dx = 0.0, dy = 0.0;
    if (g == 0.0 || mf_is_given_op(i->op) || i->op == MF_DETACH) return;
    if (i->op == MF_LARGEST || i->op == MF_SMALLEST) {
        mf_probe_pass_on_extreme(t, k, share, found);
        return;
    }
    if (i->op == MF_TAKE) {
        const int32_t choice = mf_probe_choice(t, i);
        if (choice >= 0) share(t, k, choice, g, found);
        return;
    }
    mf_partials(i->op, t->value[i->x], mf_has_y(i->op) ? t->value[i->y] : 0.0, t->value[k], &dx, &dy);
    share(t, k, i->x, mf_contribution(i->op, dx, g), found);
    if (mf_ops[i->op].kind == MF_BINARY) share(t, k, i->y, mf_contribution(i->op, dy, g), found);
}

static void mf_probe_add(mf_probe *t, int32_t k, int32_t operand, double share, void *found) {
    const double before = t->adjoint[operand];
    (void)found;
    t->adjoint[operand] += share;
    if (isfinite(before) && isfinite(share) && !isfinite(t->adjoint[operand])) t->overflow[operand] = k;
}

static void mf_probe_backward(mf_probe *t) {
    memset(t->adjoint, 0, (size_t)t->p->code.n * sizeof *t->adjoint);
    for (int32_t k = 0; k < t->p->code.n; k++) t->overflow[k] = MF_NO_VALUE;
    for (int32_t k = 0; k < t->p->outputs.n; k++) t->adjoint[t->p->outputs.items[k]] += 1.0;
    for (int32_t k = t->p->code.n - 1; k >= 0; k--) mf_probe_pass_on(t, k, mf_probe_add, NULL);
}

/* The first operand whose adjoint an instruction spoils on the way to a gradient that is not finite. */
static void mf_probe_note(mf_probe *t, int32_t k, int32_t operand, double share, void *found) {
    int32_t *first = (int32_t *)found;
    if (*first >= 0 || !t->reaches[operand]) return;
    if (!isfinite(share) || t->overflow[operand] == k) *first = operand;
}

/* Marks the values whose adjoint is not finite and reaches such a gradient. The op, the last that the
 * code made, that spoiled one though its own adjoint was finite; *spoiled: the operand. */
static int32_t mf_probe_first_backward(mf_probe *t, int32_t *spoiled) {
    int32_t first = MF_NO_VALUE;
    for (int32_t k = 0; k < t->p->code.n; k++) {
        const int32_t op = t->p->code.items[k].op;
        int32_t operand = MF_NO_VALUE;
        if (op != MF_INPUT && op != MF_CAPTURED) mf_probe_pass_on(t, k, mf_probe_note, &operand);
        t->reaches[k] = !isfinite(t->adjoint[k]) && (operand >= 0 || op == MF_INPUT || op == MF_CAPTURED);
        if (operand < 0 || !isfinite(t->adjoint[k])) continue;
        if (first >= 0 && t->rank[k] < t->rank[first]) continue;
        first = k;
        *spoiled = operand;
    }
    return first;
}

/* The gradient that an operand's adjoint, which is not finite, spoils: the first one down from there. */
static int32_t mf_probe_gradient(mf_probe *t, int32_t operand) {
    while (!mf_is_given_op(t->p->code.items[operand].op)) {
        int32_t next = MF_NO_VALUE;
        mf_probe_pass_on(t, operand, mf_probe_note, &next);
        if (next < 0) break;
        operand = next;
    }
    return operand;
}

/* ---- a sample ---- */

/* An adjoint that was spoiled by values that are not finite: the fault is theirs. */
static void mf_probe_look_behind(mf_probe *t, mf_nonfinite *found) {
    memset(t->reaches, 0, (size_t)t->p->code.n);
    t->reaches[found->value] = 1;
    mf_probe_mark_operands(t, found->value);
    const int32_t first = mf_probe_first_forward(t);
    if (first < 0) return;
    found->kind = MF_FORWARD;
    found->value = first;
}

/* Runs the sample whose inputs are there. */
static mf_nonfinite mf_probe_run(mf_probe *t) {
    mf_nonfinite found = {MF_ALL_FINITE, MF_NO_VALUE, MF_NO_VALUE, MF_NO_VALUE, 0, 0};
    const int kind = mf_probe_forward(t);
    found.kind = kind;
    if (kind == MF_FORWARD) found.value = mf_probe_first_forward(t);
    if (kind >= MF_FORWARD) return found;
    mf_probe_backward(t);
    found.value = mf_probe_first_backward(t, &found.operand);
    if (found.value >= 0) {
        found.kind = MF_BACKWARD;
        found.gradient = mf_probe_gradient(t, found.operand);
        mf_probe_look_behind(t, &found);
    } else if (kind == MF_UNUSED) {
        for (int32_t k = 0; k < t->p->code.n; k++)
            t->reaches[k] = !isfinite(t->value[k]) && t->p->code.items[k].op != MF_NUMBER;
        found.value = mf_probe_first_forward(t);
    }
    return found;
}

/* Whether what another sample has comes before what was found: the graver, then what runs first. */
static int mf_probe_is_before(const mf_probe *t, const mf_nonfinite *a, const mf_nonfinite *b) {
    if (a->kind != b->kind) return a->kind > b->kind;
    if (a->value < 0 || b->value < 0) return 0;
    const int32_t ranks[] = {t->rank[a->value], t->rank[b->value]};
    return a->kind == MF_BACKWARD ? ranks[0] > ranks[1] : ranks[0] < ranks[1];
}

/* One more sample: `first` is what comes before all others then. */
static void mf_probe_take(const mf_probe *t, mf_nonfinite *first, mf_nonfinite found, int64_t sample) {
    const int32_t n_samples = first->n_samples + (found.kind >= MF_BACKWARD);
    found.sample = sample;
    if (mf_probe_is_before(t, &found, first)) *first = found;
    first->n_samples = n_samples;
}

#endif
