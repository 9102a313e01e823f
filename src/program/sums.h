/* Sums of products become dots, in whatever way they were written.
 *
 * Additions, subtractions and negations whose inner results have no other use are one sum of many
 * terms, each added or taken away: which of them comes first, and how they are put together, makes no
 * difference to 1e-12 of their size. A term is a product or any other value, a plain one; of those one
 * becomes the bias. The terms that are added are one dot, those that are taken away another.
 *
 * A partial sum that others use is a plain term of theirs, so that running sums stay linear. */
#ifndef MF_SUMS_H
#define MF_SUMS_H

#include "program/rewrite.h"

enum {
    MF_MIN_PRODUCTS = 2, /* of one sign in a sum: fewer stay ops */
    MF_MIN_PLAIN = 4     /* so many plain terms are a dot with ones */
};

/* A term is a value that is added, or ~value that is taken away. */
static inline int32_t mf_term_value(int32_t term) { return term >= 0 ? term : ~term; }

typedef struct {
    int32_t root;     /* the value that it is */
    int32_t start, n; /* its terms, in the order in which they were written */
} mf_sum;

typedef struct {
    const mf_instruction *code;
    const int32_t *uses;
    const double *numbers;
    int32_t *as_term; /* by value: how many of its uses are in additions and the like */
    uint8_t *inside;  /* by value: MF_VISITED or MF_PART */
    int32_t *terms, n_terms;
    int32_t *stack, *nodes; /* of the sum that is being taken apart */
    mf_sum *sums;
    int32_t n_sums;
    int32_t one; /* the number 1 among the new values, once something needs it */
} mf_sums;

enum {
    MF_VISITED = 1, /* inside a sum that stays as it was written */
    MF_PART = 2     /* inside one that becomes dots: computed there */
};

static int mf_is_sum_op(int32_t op) { return op == MF_ADD || op == MF_SUB || op == MF_NEG; }

/* Whether a value is used as a term alone: it is computed in the dots then. */
static int mf_is_product(const mf_sums *s, int32_t v) {
    return (s->code[v].op == MF_MUL || s->code[v].op == MF_SQUARE) && s->as_term[v] == s->uses[v];
}

/* ---- which sums there are ---- */

/* Counts the uses as a term, and the sum ops. */
static int32_t mf_count_term_uses(mf_sums *s, int32_t n_values) {
    int32_t n = 0;
    for (int32_t k = 0; k < n_values; k++) {
        const mf_instruction *i = &s->code[k];
        if (!mf_is_sum_op(i->op) || s->uses[k] == 0) continue;
        n++;
        s->as_term[i->x]++;
        if (i->op != MF_NEG) s->as_term[i->y]++;
    }
    return n;
}

/* Takes the sum apart whose value is `root`; how many ops it has. Its terms follow those of the other
 * sums. */
static int32_t mf_take_apart(mf_sums *s, int32_t root) {
    int32_t n_stack = 0, n_nodes = 0;
    s->stack[n_stack++] = root;
    while (n_stack > 0) {
        const int32_t term = s->stack[--n_stack], v = mf_term_value(term);
        const mf_instruction *i = &s->code[v];
        if (!mf_is_sum_op(i->op) || (v != root && s->uses[v] != 1)) {
            s->terms[s->n_terms++] = term;
            continue;
        }
        s->nodes[n_nodes++] = v;
        /* the left operand comes first */
        if (i->op != MF_NEG) s->stack[n_stack++] = (i->op == MF_SUB) == (term < 0) ? i->y : ~i->y;
        s->stack[n_stack++] = (i->op == MF_NEG) == (term < 0) ? i->x : ~i->x;
    }
    return n_nodes;
}

typedef struct {
    int32_t n_products, n_plain;
} mf_term_counts;

static mf_term_counts mf_count_terms(const mf_sums *s, const mf_sum *sum, int negative) {
    mf_term_counts counts = {0, 0};
    for (int32_t j = sum->start; j < sum->start + sum->n; j++) {
        if ((s->terms[j] < 0) != negative) continue;
        if (mf_is_product(s, mf_term_value(s->terms[j])))
            counts.n_products++;
        else
            counts.n_plain++;
    }
    return counts;
}

static int mf_are_a_dot(mf_term_counts counts) {
    return counts.n_products >= MF_MIN_PRODUCTS || counts.n_plain >= MF_MIN_PLAIN;
}

/* From the last value down, so that a sum is found from its root. */
static void mf_find_sums(mf_sums *s, int32_t n_values) {
    for (int32_t root = n_values - 1; root >= 0; root--) {
        if (s->inside[root] || s->uses[root] == 0 || !mf_is_sum_op(s->code[root].op)) continue;
        mf_sum sum = {root, s->n_terms, 0};
        const int32_t n_nodes = mf_take_apart(s, root);
        sum.n = s->n_terms - sum.start;
        const int are_dots = mf_are_a_dot(mf_count_terms(s, &sum, 0)) ||
                             mf_are_a_dot(mf_count_terms(s, &sum, 1));
        for (int32_t j = 0; j < n_nodes; j++) s->inside[s->nodes[j]] = are_dots ? MF_PART : MF_VISITED;
        if (are_dots)
            s->sums[s->n_sums++] = sum;
        else
            s->n_terms = sum.start;
    }
}

/* ---- products ---- */

/* The new value of an old one: products wait until one is needed as a value of its own. */
static int32_t mf_term_of(mf_rewriting *r, int32_t v) {
    if (r->moved[v] == MF_NO_VALUE) r->moved[v] = mf_copy(r, v);
    return r->moved[v];
}

/* Whether a number brings none of a usual size near the ends of the range as a factor. */
static int mf_is_usual(double number) {
    const double size = fabs(number);
    return size == 0.0 || (size >= 0x1p-64 && size <= 0x1p10);
}

/* Whether a factor of a term may be multiplied by the term's parameter first: a parameter, or a
 * usual number. */
static int mf_is_scale(const mf_sums *s, int32_t v) {
    const mf_instruction *i = &s->code[v];
    if (i->op == MF_CAPTURED) return 1;
    return i->op == MF_NUMBER && mf_is_usual(s->numbers[i->x]);
}

/* Whether v is (product) * scale, the product having no other use, and which. */
static int mf_is_scaled(const mf_sums *s, int32_t v, int32_t *product, int32_t *scale) {
    const mf_instruction *i = &s->code[v];
    if (i->op != MF_MUL || i->x == i->y) return 0;
    const int first = mf_is_scale(s, i->x);
    *scale = first ? i->x : i->y;
    *product = first ? i->y : i->x;
    return mf_is_scale(s, *scale) && s->code[*product].op == MF_MUL && s->uses[*product] == 1;
}

/* The factors of product v. (w * x) * scale becomes (w * scale) * x where w is a parameter: computed
 * once a call, not once a sample. */
static void mf_factors_of(mf_rewriting *r, const mf_sums *s, int32_t v, int32_t *factors) {
    int32_t base = v, product, scale;
    while (mf_is_scaled(s, base, &product, &scale)) base = product;
    const mf_instruction *i = &s->code[base];
    const int is_scaled = base != v; /* then it is a product of two values */
    const int x_is_given = is_scaled && mf_is_scale(s, i->x);
    const int y_is_given = is_scaled && mf_is_scale(s, i->y);
    if (x_is_given == y_is_given) {
        i = &s->code[v];
        factors[0] = r->moved[i->x];
        factors[1] = i->op == MF_MUL ? r->moved[i->y] : r->moved[i->x];
        return;
    }
    factors[0] = r->moved[x_is_given ? i->x : i->y];
    factors[1] = r->moved[x_is_given ? i->y : i->x];
    for (base = v; mf_is_scaled(s, base, &product, &scale); base = product)
        factors[0] = mf_emit(r->new, MF_MUL, factors[0], r->moved[scale], 0);
}

static void mf_add_product(mf_rewriting *r, int32_t w, int32_t x) {
    mf_add_arg(r->new, w);
    mf_add_arg(r->new, x);
}

/* ---- what a sum becomes ---- */

/* The plain term that is the bias: a parameter or number, so that all neurons of a layer have one of a
 * kind; or the first. */
static int32_t mf_bias_term(const mf_sums *s, const mf_sum *sum, int negative) {
    int32_t first = MF_NO_VALUE;
    for (int32_t j = sum->start; j < sum->start + sum->n; j++) {
        const int32_t v = mf_term_value(s->terms[j]);
        if ((s->terms[j] < 0) != negative || mf_is_product(s, v)) continue;
        if (s->code[v].op == MF_CAPTURED || s->code[v].op == MF_NUMBER) return j;
        if (first < 0) first = j;
    }
    return first;
}

/* The terms of one sign, products and, with ones, plain terms, as a dot; the other plain terms are
 * added to it. */
static int32_t mf_emit_dot(mf_rewriting *r, mf_sums *s, const mf_sum *sum, int negative,
                           mf_term_counts counts) {
    const int32_t start = r->new->args.n, bias = mf_bias_term(s, sum, negative);
    const int with_ones = counts.n_plain >= MF_MIN_PLAIN;
    const int32_t end = sum->start + sum->n;
    int32_t factors[2];
    if (with_ones && s->one < 0) s->one = mf_emit_number(r->new, 1.0);
    for (int32_t j = sum->start; j < end && !mf_has_failed(r); j++) {
        const int32_t v = mf_term_value(s->terms[j]);
        if ((s->terms[j] < 0) != negative) continue;
        if (mf_is_product(s, v)) {
            mf_factors_of(r, s, v, factors);
            mf_add_product(r, factors[0], factors[1]);
        } else if (with_ones && j != bias) {
            mf_add_product(r, s->one, r->moved[v]);
        }
    }
    int32_t made = mf_emit(r->new, MF_DOT, start,
                           bias < 0 ? MF_NO_VALUE : r->moved[mf_term_value(s->terms[bias])],
                           (r->new->args.n - start) / 2);
    for (int32_t j = sum->start; j < end && !with_ones && !mf_has_failed(r); j++) {
        const int32_t v = mf_term_value(s->terms[j]);
        if ((s->terms[j] < 0) == negative && j != bias && !mf_is_product(s, v))
            made = mf_emit(r->new, MF_ADD, made, r->moved[v], 0);
    }
    return made;
}

/* The terms of one sign added up; MF_NO_VALUE where there are none. */
static int32_t mf_emit_side(mf_rewriting *r, mf_sums *s, const mf_sum *sum, int negative) {
    const mf_term_counts counts = mf_count_terms(s, sum, negative);
    int32_t made = MF_NO_VALUE;
    if (mf_are_a_dot(counts)) return mf_emit_dot(r, s, sum, negative, counts);
    for (int32_t j = sum->start; j < sum->start + sum->n && !mf_has_failed(r); j++) {
        if ((s->terms[j] < 0) != negative) continue;
        const int32_t term = mf_term_of(r, mf_term_value(s->terms[j]));
        made = made < 0 ? term : mf_emit(r->new, MF_ADD, made, term, 0);
    }
    return made;
}

static int32_t mf_emit_sum(mf_rewriting *r, mf_sums *s, const mf_sum *sum) {
    const int32_t added = mf_emit_side(r, s, sum, 0), taken = mf_emit_side(r, s, sum, 1);
    if (taken < 0) return added;
    if (added < 0) return mf_emit(r->new, MF_NEG, taken, MF_NO_VALUE, 0);
    return mf_emit(r->new, MF_SUB, added, taken, 0);
}

/* Copies an op, after the products among its operands that have waited. */
static int32_t mf_copy_with_products(mf_rewriting *r, const mf_sums *s, int32_t k) {
    const mf_instruction *i = &s->code[k];
    if (mf_is_sum_op(i->op)) {
        mf_term_of(r, i->x);
        if (i->op != MF_NEG) mf_term_of(r, i->y);
    }
    return mf_has_failed(r) ? 0 : mf_copy(r, k);
}

/* The pass. */
static void mf_fuse_dots(mf_rewriting *r) {
    const int32_t n = r->old->code.n;
    mf_sums s = {.code = r->old->code.items, .numbers = r->old->numbers.items, .one = MF_NO_VALUE};
    s.uses = mf_use_counts(r->old, &r->scratch);
    s.as_term = (int32_t *)mf_taken(&r->scratch, (uint64_t)n, sizeof *s.as_term);
    s.inside = (uint8_t *)mf_taken(&r->scratch, (uint64_t)n, 1);
    if (mf_has_failed(r)) return;
    const uint64_t n_ops = (uint64_t)mf_count_term_uses(&s, n);
    s.terms = (int32_t *)mf_taken(&r->scratch, 2 * n_ops, sizeof *s.terms);
    s.stack = (int32_t *)mf_taken(&r->scratch, n_ops + 1, sizeof *s.stack);
    s.nodes = (int32_t *)mf_taken(&r->scratch, n_ops, sizeof *s.nodes);
    s.sums = (mf_sum *)mf_taken(&r->scratch, n_ops, sizeof *s.sums);
    if (mf_has_failed(r)) return;
    mf_find_sums(&s, n);
    for (int32_t k = 0; k < n && !mf_has_failed(r); k++) {
        if (s.n_sums > 0 && s.sums[s.n_sums - 1].root == k)
            r->moved[k] = mf_emit_sum(r, &s, &s.sums[--s.n_sums]); /* found from the last one down */
        else if (s.uses[k] == 0 || s.inside[k] == MF_PART)
            r->moved[k] = 0;
        else
            r->moved[k] = mf_is_product(&s, k) ? MF_NO_VALUE : mf_copy_with_products(r, &s, k);
    }
}

#endif
