/* Programs computed as they are written, an instruction after the other and a sample after the other:
 * what passes, plans and the executor must agree with. And random programs. */
#ifndef MF_TEST_NAIVE_H
#define MF_TEST_NAIVE_H

#include "base/reach.h"
#include "check.h"
#include "program/program.h"

/* The state of random numbers of their own. */
static uint64_t first_bits(uint64_t seed) { return seed * 0x9E3779B97F4A7C15u | 1; }

static double random_between(uint64_t *r, double lo, double hi) {
    return lo + (hi - lo) * (double)(random_bits(r) >> 11) / 9007199254740992.0;
}

static int is_close(double a, double b) {
    if (!isfinite(a) || !isfinite(b)) return a == b || (a != a && b != b);
    return fabs(a - b) <= 1e-9 * fmax(1.0, fmax(fabs(a), fabs(b)));
}

enum { MAX_INPUTS = 6, MAX_CAPTURED = 24, MAX_VALUES = 800, MAX_OUTPUTS = 3 };

typedef struct {
    double inputs[MAX_INPUTS], captured[MAX_CAPTURED];
} sample;

static double value_of(const mf_program *p, const mf_instruction *i, const sample *s, const double *v) {
    const int32_t *args = p->args.items + i->x;
    double z = 0.0;
    switch (i->op) {
    case MF_INPUT: return s->inputs[i->x];
    case MF_CAPTURED: return s->captured[i->x];
    case MF_NUMBER: return p->numbers.items[i->x];
    case MF_DETACH: return v[i->x];
    case MF_TAKE: return v[args[(int32_t)v[i->y]]];
    case MF_DOT:
        z = i->y >= 0 ? v[i->y] : 0.0;
        for (int32_t j = 0; j < i->n; j++) z += v[args[2 * j]] * v[args[2 * j + 1]];
        return z;
    case MF_LARGEST:
    case MF_SMALLEST:
        z = v[args[0]];
        for (int32_t j = 1; j < i->n; j++)
            z = i->op == MF_LARGEST ? fmax(z, v[args[j]]) : fmin(z, v[args[j]]);
        return z;
    default: mf_forward(i->op, v[i->x], mf_has_y(i->op) ? v[i->y] : 0.0, &z); return z;
    }
}

static void naive_values(const mf_program *p, const sample *s, double *v) {
    for (int32_t k = 0; k < p->code.n; k++) v[k] = value_of(p, &p->code.items[k], s, v);
}

/* Adds the adjoint g of one value to those of its operands. */
static void naive_step(const mf_program *p, int32_t k, const double *v, double *d) {
    const mf_instruction *i = &p->code.items[k];
    const int32_t *args = p->args.items + i->x;
    const double g = d[k];
    double dx = 0.0, dy = 0.0, n_equal = 0.0;
    if (mf_is_given_op(i->op) || i->op == MF_DETACH || g == 0.0) return;
    if (i->op == MF_TAKE) d[args[(int32_t)v[i->y]]] += g;
    if (i->op == MF_DOT) {
        if (i->y >= 0) d[i->y] += g;
        for (int32_t j = 0; j < 2 * i->n; j += 2) {
            d[args[j]] += g * v[args[j + 1]];
            d[args[j + 1]] += g * v[args[j]];
        }
    }
    if (i->op == MF_LARGEST || i->op == MF_SMALLEST) {
        for (int32_t j = 0; j < i->n; j++) n_equal += v[args[j]] == v[k];
        for (int32_t j = 0; j < i->n; j++)
            if (v[args[j]] == v[k]) d[args[j]] += g / n_equal;
    }
    if (!mf_is_table_op(i->op)) return;
    mf_partials(i->op, v[i->x], mf_has_y(i->op) ? v[i->y] : 0.0, v[k], &dx, &dy);
    d[i->x] += mf_contribution(i->op, dx, g);
    if (mf_has_y(i->op)) d[i->y] += mf_contribution(i->op, dy, g);
}

/* Adjoints of all values, for a seed of one on each output. */
static void naive_adjoints(const mf_program *p, const double *v, double *d) {
    memset(d, 0, (size_t)p->code.n * sizeof *d);
    for (int32_t k = 0; k < p->outputs.n; k++) d[p->outputs.items[k]] += 1.0;
    for (int32_t k = p->code.n - 1; k >= 0; k--) naive_step(p, k, v, d);
}

/* ---- random programs ---- */

/* One of the values so far, the last ones more often. */
static int32_t some_value(uint64_t *r, const mf_program *p) {
    const int32_t n = p->code.n;
    return random_below(r, 3) ? n - 1 - random_below(r, n < 8 ? n : 8) : random_below(r, n);
}

/* An op that stays finite and smooth almost everywhere; x is bounded by a tanh before what grows. */
static void add_op(uint64_t *r, mf_program *p) {
    static const int32_t unary[] = {MF_TANH, MF_SIGMOID, MF_RELU, MF_SIN, MF_COS, MF_ABS, MF_NEG};
    static const int32_t binary[] = {MF_ADD, MF_ADD, MF_ADD, MF_MUL,
                                     MF_MUL, MF_SUB, MF_MAXIMUM, MF_MINIMUM};
    int32_t x = some_value(r, p);
    switch (random_below(r, 8)) {
    case 0: mf_emit(p, unary[random_below(r, 7)], x, MF_NO_VALUE, 0); break;
    case 1: mf_emit(p, MF_EXP, mf_emit(p, MF_TANH, x, MF_NO_VALUE, 0), MF_NO_VALUE, 0); break;
    case 2: /* x**k, of a number above zero */
        x = mf_emit(p, MF_EXP, mf_emit(p, MF_TANH, x, MF_NO_VALUE, 0), MF_NO_VALUE, 0);
        mf_emit(p, MF_POW, x, mf_emit_number(p, 0.5 * (random_below(r, 9) - 4)), 0);
        break;
    case 3: mf_emit(p, MF_MUL, mf_emit_number(p, random_below(r, 3) - 1.0), x, 0); break;
    default: mf_emit(p, binary[random_below(r, 8)], x, some_value(r, p), 0);
    }
}

/* Sums of products of the same values with captured numbers, as layers have them: of the inputs, or
 * of values anywhere. Their largest or their sum. */
static void add_layer(uint64_t *r, mf_program *p, int32_t first_captured, int32_t n_captured) {
    const int32_t n = 2 + random_below(r, 3), n_rows = n_captured / (n + 1);
    int32_t inputs[4], w = first_captured, all = MF_NO_VALUE;
    const int32_t joins = random_below(r, 2) ? MF_ADD : MF_MAXIMUM;
    const int anywhere = random_below(r, 3) == 0 || p->n_inputs < n;
    for (int32_t j = 0; j < n; j++) inputs[j] = anywhere ? some_value(r, p) : j;
    for (int32_t m = 0; m < n_rows; m++) {
        int32_t z = w++;
        for (int32_t j = 0; j < n; j++)
            z = mf_emit(p, MF_ADD, z, mf_emit(p, MF_MUL, w++, inputs[j], 0), 0);
        z = mf_emit(p, MF_TANH, z, MF_NO_VALUE, 0);
        all = all < 0 ? z : mf_emit(p, joins, all, z, 0);
    }
}

static void add_choice(uint64_t *r, mf_program *p) {
    const int32_t n = 1 + random_below(r, 4), kind = random_below(r, 3), start = p->args.n;
    for (int32_t j = 0; j < n; j++) mf_add_arg(p, some_value(r, p));
    if (kind == 0)
        mf_emit(p, MF_LARGEST, start, MF_NO_VALUE, n);
    else if (kind == 1)
        mf_emit(p, MF_SMALLEST, start, MF_NO_VALUE, n);
    else {
        const int32_t index = mf_emit_number(p, random_below(r, n));
        mf_emit(p, MF_TAKE, start, index, n);
    }
}

/* A valid program of up to MAX_VALUES instructions. */
static void random_program(uint64_t *r, mf_program *p) {
    const int32_t n_ops = 1 + random_below(r, 60);
    p->n_inputs = 1 + random_below(r, MAX_INPUTS);
    p->n_params = random_below(r, MAX_CAPTURED + 1);
    for (int32_t k = 0; k < p->n_inputs; k++) mf_emit(p, MF_INPUT, k, MF_NO_VALUE, 0);
    for (int32_t k = 0; k < p->n_params; k++) mf_emit(p, MF_CAPTURED, k, MF_NO_VALUE, 0);
    for (int32_t k = 0; k < n_ops; k++) {
        const int32_t kind = random_below(r, 16);
        if (kind == 0 && p->n_params > 2) add_layer(r, p, p->n_inputs, p->n_params);
        else if (kind == 1) add_choice(r, p);
        else if (kind == 2) mf_emit(p, MF_DETACH, some_value(r, p), MF_NO_VALUE, 0);
        else add_op(r, p);
    }
    for (int32_t k = 1 + random_below(r, MAX_OUTPUTS); k > 0; k--) {
        if (random_below(r, 2) && p->n_params > 2) add_layer(r, p, p->n_inputs, p->n_params);
        const int32_t out = random_below(r, 2) ? p->code.n - 1 : some_value(r, p);
        mf_ints_add(&p->outputs, mf_emit(p, MF_TANH, out, MF_NO_VALUE, 0), &p->failed);
    }
}

#endif
