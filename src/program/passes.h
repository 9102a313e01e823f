/* Passes: each rewrites a program into another that computes the same.
 *
 * A pass walks the instructions once and emits them again, rewritten; `moved` maps old values to new
 * ones. A new pass is one function here and a line in mf_passes. Agreement is to 1e-12: x * y**-1
 * becomes x / y, which differs from it in the last bit. */
#ifndef MF_PASSES_H
#define MF_PASSES_H

#include "base/hash.h"
#include "program/sums.h"

/* ---- constants ---- */

/* Whether x op number, and for ADD and MUL number op x, is x. */
static int mf_is_neutral(int32_t op, double number) {
    if (op == MF_ADD) return number == 0.0;
    return number == 1.0 && (op == MF_MUL || op == MF_POW || op == MF_VPOW);
}

/* (x * a) * b as x * (a * b), for a new value of the first kind and a number; or MF_NO_VALUE. Signs
 * stay apart: what is taken away is found by them. */
static int32_t mf_scaled_again(mf_program *new, int32_t scaled, double b) {
    const mf_instruction *i = &new->code.items[scaled];
    double a = 0.0;
    int32_t x = MF_NO_VALUE;
    if (i->op != MF_MUL || b == -1.0) return MF_NO_VALUE;
    if (mf_number_of(new, i->y, &a))
        x = i->x;
    else if (mf_number_of(new, i->x, &a))
        x = i->y;
    if (x < 0 || a == -1.0 || !mf_is_usual(a) || !mf_is_usual(b)) return MF_NO_VALUE;
    return a * b == 1.0 ? x : mf_emit(new, MF_MUL, x, mf_emit_number(new, a * b), 0);
}

/* The new value of instruction i where no op is needed for it, or MF_NO_VALUE. */
static int32_t mf_folded(mf_rewriting *r, const mf_instruction *i) {
    const int32_t x = r->moved[i->x], y = mf_has_y(i->op) ? r->moved[i->y] : MF_NO_VALUE;
    double a = 0.0, b = 0.0, z = 0.0;
    const int x_known = mf_number_of(r->new, x, &a), y_known = mf_number_of(r->new, y, &b);
    if (x_known && (y_known || y < 0)) {
        mf_forward(i->op, a, b, &z);
        if (isinf(z) && i->op == MF_POW && b == -1.0 && a != 0.0) return MF_NO_VALUE; /* of x / a */
        return mf_emit_number(r->new, z);
    }
    if (y_known && mf_is_neutral(i->op, b)) return x;
    if (x_known && mf_is_neutral(i->op, a) && (i->op == MF_ADD || i->op == MF_MUL)) return y;
    if (y_known && b == 0.0 && (i->op == MF_POW || i->op == MF_VPOW))
        return mf_emit_number(r->new, 1.0);
    if (i->op == MF_MUL && x_known != y_known)
        return mf_scaled_again(r->new, x_known ? y : x, x_known ? a : b);
    return MF_NO_VALUE;
}

/* Ops on numbers become numbers; x * 1, x**1 and x + 0 become x, x**0 becomes 1, and (x * 2) * 3
 * becomes x * 6. */
static void mf_fold_constants(mf_rewriting *r) {
    for (int32_t k = 0; !mf_has_failed(r) && k < r->old->code.n; k++) {
        const mf_instruction *i = &r->old->code.items[k];
        r->moved[k] = mf_is_table_op(i->op) ? mf_folded(r, i) : MF_NO_VALUE;
        if (r->moved[k] < 0) r->moved[k] = mf_copy(r, k);
    }
}

/* ---- what micrograd composes ---- */

/* x**exponent by cheaper ops; MF_NO_VALUE where there are none. */
static int32_t mf_reduced_power(mf_program *new, int32_t x, double exponent) {
    if (exponent == 2.0) return mf_emit(new, MF_SQUARE, x, MF_NO_VALUE, 0);
    if (exponent == 3.0)
        return mf_emit(new, MF_MUL, mf_emit(new, MF_SQUARE, x, MF_NO_VALUE, 0), x, 0);
    if (exponent == -1.0) return mf_emit(new, MF_DIV, mf_emit_number(new, 1.0), x, 0);
    return MF_NO_VALUE;
}

static int32_t mf_negated(mf_program *new, int32_t x) {
    const mf_instruction *of = &new->code.items[x];
    return of->op == MF_NEG ? of->x : mf_emit(new, MF_NEG, x, MF_NO_VALUE, 0);
}

/* Whether a value is 1 / x, and of which x. */
static int mf_is_reciprocal(const mf_program *new, int32_t value, int32_t *x) {
    const mf_instruction *i = &new->code.items[value];
    double number = 0.0;
    if (i->op != MF_DIV || !mf_number_of(new, i->x, &number) || number != 1.0) return 0;
    *x = i->y;
    return 1;
}

static int32_t mf_reduced_product(mf_program *new, int32_t x, int32_t y) {
    double number = 0.0;
    int32_t divisor = MF_NO_VALUE;
    if (mf_number_of(new, y, &number) && number == -1.0) return mf_negated(new, x);
    if (mf_number_of(new, x, &number) && number == -1.0) return mf_negated(new, y);
    if (x == y) return mf_emit(new, MF_SQUARE, x, MF_NO_VALUE, 0);
    if (mf_is_reciprocal(new, y, &divisor)) return mf_emit(new, MF_DIV, x, divisor, 0);
    if (mf_is_reciprocal(new, x, &divisor)) return mf_emit(new, MF_DIV, y, divisor, 0);
    return MF_NO_VALUE;
}

static int32_t mf_reduced_sum(mf_program *new, int32_t x, int32_t y) {
    const mf_instruction *of_x = &new->code.items[x], *of_y = &new->code.items[y];
    if (of_y->op == MF_NEG) return mf_emit(new, MF_SUB, x, of_y->x, 0);
    if (of_x->op == MF_NEG) return mf_emit(new, MF_SUB, y, of_x->x, 0);
    return MF_NO_VALUE;
}

/* Restores what micrograd composes: x + y * -1 is x - y, x * y**-1 is x / y, x**2 a square. */
static void mf_reduce_strength(mf_rewriting *r) {
    for (int32_t k = 0; !mf_has_failed(r) && k < r->old->code.n; k++) {
        const mf_instruction *i = &r->old->code.items[k];
        int32_t made = MF_NO_VALUE;
        double exponent = 0.0;
        if (i->op == MF_POW && mf_number_of(r->new, r->moved[i->y], &exponent))
            made = mf_reduced_power(r->new, r->moved[i->x], exponent);
        else if (i->op == MF_MUL)
            made = mf_reduced_product(r->new, r->moved[i->x], r->moved[i->y]);
        else if (i->op == MF_ADD)
            made = mf_reduced_sum(r->new, r->moved[i->x], r->moved[i->y]);
        r->moved[k] = made >= 0 ? made : mf_copy(r, k);
    }
}

/* ---- common parts ---- */

typedef struct {
    int32_t value; /* new; MF_NO_VALUE: the place is free */
    uint32_t hash;
} mf_shared;

static int mf_commutes(int32_t op) { return op == MF_ADD || op == MF_MUL; }

/* Of an old instruction over moved operands. */
static uint64_t mf_hash_moved(const mf_rewriting *r, const mf_instruction *i) {
    uint64_t h = 0;
    if (i->op == MF_NUMBER) { /* equal by its bits, wherever it is stored */
        memcpy(&h, &r->old->numbers.items[i->x], sizeof h);
        return mf_mix((uint64_t)i->op, 0, 0, h);
    }
    if (mf_has_args(i->op)) {
        for (int32_t j = 0; j < mf_n_operands(i); j++)
            h = mf_mix((uint64_t)i->op, (uint32_t)r->moved[mf_operand(r->old, i, j)], (uint32_t)i->n, h);
        return h;
    }
    const int32_t x = r->moved[i->x], y = mf_has_y(i->op) ? r->moved[i->y] : MF_NO_VALUE;
    if (mf_commutes(i->op))
        return mf_mix((uint64_t)i->op, (uint32_t)(x < y ? x : y), (uint32_t)(x < y ? y : x), 0);
    return mf_mix((uint64_t)i->op, (uint32_t)x, (uint32_t)y, 0);
}

/* Whether an old instruction over moved operands is the new one that `made` is the value of. */
static int mf_is_made(const mf_rewriting *r, const mf_instruction *i, int32_t made) {
    const mf_instruction *m = &r->new->code.items[made];
    if (i->op != m->op) return 0;
    if (i->op == MF_NUMBER)
        return memcmp(&r->old->numbers.items[i->x], &r->new->numbers.items[m->x], sizeof(double)) == 0;
    if (mf_n_operands(i) != mf_n_operands(m)) return 0;
    if (mf_commutes(i->op) && r->moved[i->x] == m->y && r->moved[i->y] == m->x) return 1;
    for (int32_t j = 0; j < mf_n_operands(i); j++)
        if (r->moved[mf_operand(r->old, i, j)] != mf_operand(r->new, m, j)) return 0;
    return 1;
}

/* Where an instruction stands in the table, or would: open addressing. */
static mf_shared *mf_find_shared(const mf_rewriting *r, const mf_instruction *i, uint64_t hash,
                                 mf_shared *table, uint32_t n_places) {
    uint32_t place = (uint32_t)hash & (n_places - 1);
    while (table[place].value >= 0) {
        if (table[place].hash == (uint32_t)(hash >> 32) && mf_is_made(r, i, table[place].value)) break;
        place = (place + 1) & (n_places - 1);
    }
    return &table[place];
}

/* Whether an old instruction has an operand that is the same as no other and that nothing else uses: it
 * is the same as no other then. The weights of a network make most of its ops so. */
static int mf_is_alone(const mf_program *p, const mf_instruction *i, const int32_t *uses,
                       const uint8_t *alone) {
    if (i->op == MF_INPUT || i->op == MF_CAPTURED) return 1; /* each is there once */
    for (int32_t j = 0; j < mf_n_operands(i); j++) {
        const int32_t v = mf_operand(p, i, j);
        if (alone[v] && uses[v] == 1) return 1;
    }
    return 0;
}

/* Marks what is alone; how many others there are. */
static uint32_t mf_find_alone(const mf_program *p, const int32_t *uses, uint8_t *alone) {
    uint32_t n_others = 0;
    for (int32_t k = 0; k < p->code.n; k++) {
        alone[k] = (uint8_t)mf_is_alone(p, &p->code.items[k], uses, alone);
        n_others += !alone[k];
    }
    return n_others;
}

/* An op on the same operands is computed once; so is the same number. */
static void mf_share_common(mf_rewriting *r) {
    const int32_t *uses = mf_use_counts(r->old, &r->scratch);
    uint8_t *alone = (uint8_t *)mf_taken(&r->scratch, (uint64_t)r->old->code.n, 1);
    uint32_t n_places = 64;
    if (mf_has_failed(r)) return;
    const uint32_t n_others = mf_find_alone(r->old, uses, alone);
    while (n_places < 2 * n_others) n_places *= 2;
    mf_shared *table = (mf_shared *)mf_taken(&r->scratch, n_places, sizeof *table);
    for (uint32_t k = 0; table != NULL && k < n_places; k++) table[k].value = MF_NO_VALUE;
    for (int32_t k = 0; !mf_has_failed(r) && k < r->old->code.n; k++) {
        const mf_instruction *i = &r->old->code.items[k];
        if (alone[k]) {
            r->moved[k] = mf_copy(r, k);
            continue;
        }
        const uint64_t hash = mf_hash_moved(r, i);
        mf_shared *shared = mf_find_shared(r, i, hash, table, n_places);
        if (shared->value < 0) *shared = (mf_shared){mf_copy(r, k), (uint32_t)(hash >> 32)};
        r->moved[k] = shared->value;
    }
}

/* What no output depends on goes; inputs and captured numbers stay, they are the interface. */
static void mf_drop_dead(mf_rewriting *r) {
    const int32_t *uses = mf_use_counts(r->old, &r->scratch);
    for (int32_t k = 0; !mf_has_failed(r) && k < r->old->code.n; k++)
        r->moved[k] = uses[k] > 0 ? mf_copy(r, k) : 0;
}

/* ---- all of them ---- */

typedef struct {
    const char *name;
    mf_pass *rewrite;
} mf_named_pass;

/* In the order in which they run. */
static const mf_named_pass mf_passes[] = {
    {"fold_constants", mf_fold_constants},
    {"reduce_strength", mf_reduce_strength},
    {"share_common", mf_share_common},
    {"fuse_dots", mf_fuse_dots},
    {"drop_dead", mf_drop_dead},
};
enum { MF_N_PASSES = sizeof mf_passes / sizeof *mf_passes };

/* `new`, which holds nothing yet, becomes `old` after all passes. */
static void mf_optimize(const mf_program *old, mf_program *new) {
    mf_rewrite(old, mf_passes[0].rewrite, new, NULL);
    for (int k = 1; k < MF_N_PASSES; k++) {
        mf_program before = *new;
        mf_rewrite(&before, mf_passes[k].rewrite, new, NULL);
        mf_program_free(&before);
    }
}

#endif
