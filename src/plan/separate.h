/* Dots of one kind: before a program is laid out, each dot becomes one of products of uniform numbers,
 * of a uniform and a row, or of two rows. */
#ifndef MF_SEPARATE_H
#define MF_SEPARATE_H

#include "plan/facts.h"
#include "program/rewrite.h"

/* How many rows product j of a dot has. */
static int32_t mf_rows_of_product(const mf_facts *f, const mf_instruction *i, int32_t j) {
    const int32_t *factor = f->program->args.items + i->x + 2 * j;
    return f->row[factor[0]] + f->row[factor[1]];
}

/* Whether a dot over lanes adds up products of several kinds, or of uniform numbers alone: its bias is
 * then the row. counts: how many products have 0, 1 or 2 rows. */
static int mf_is_mixed(const mf_facts *f, int32_t k, int32_t *counts) {
    const mf_instruction *i = &f->program->code.items[k];
    counts[0] = counts[1] = counts[2] = 0;
    if (i->op != MF_DOT || !f->row[k]) return 0;
    for (int32_t j = 0; j < i->n; j++) counts[mf_rows_of_product(f, i, j)]++;
    return counts[0] > 0 || (counts[1] > 0 && counts[2] > 0);
}

/* The products with n_rows rows of a dot, n of them. */
static int32_t mf_part_of_dot(mf_rewriting *r, const mf_facts *f, const mf_instruction *i,
                              int32_t n_rows, int32_t n, int32_t bias) {
    const int32_t start = r->new->args.n;
    for (int32_t j = 0; j < i->n; j++) {
        const int32_t *factor = r->old->args.items + i->x + 2 * j;
        if (mf_rows_of_product(f, i, j) != n_rows) continue;
        mf_add_arg(r->new, r->moved[factor[0]]);
        mf_add_arg(r->new, r->moved[factor[1]]);
    }
    return mf_emit(r->new, MF_DOT, start, bias, n);
}

/* The dots that add up to the dot *i; the last of them is its value. */
static int32_t mf_separated(mf_rewriting *r, const mf_facts *f, const mf_instruction *i,
                            const int32_t *counts) {
    int32_t made = i->y >= 0 ? r->moved[i->y] : MF_NO_VALUE;
    if (counts[0] && i->y >= 0 && f->row[i->y]) {
        const int32_t uniform = mf_part_of_dot(r, f, i, 0, counts[0], MF_NO_VALUE);
        made = mf_emit(r->new, MF_ADD, made, uniform, 0);
    } else if (counts[0]) {
        made = mf_part_of_dot(r, f, i, 0, counts[0], made);
    }
    if (counts[1]) made = mf_part_of_dot(r, f, i, 1, counts[1], made);
    if (counts[2]) made = mf_part_of_dot(r, f, i, 2, counts[2], made);
    return made;
}

static int mf_has_mixed_dots(const mf_facts *f) {
    int32_t counts[3];
    for (int32_t k = 0; k < f->program->code.n; k++)
        if (mf_is_mixed(f, k, counts)) return 1;
    return 0;
}

/* `new`, which holds nothing yet, becomes the program of these facts with dots of one kind each. moved:
 * filled with the new value of each old one; NULL: not wanted. */
static void mf_separate_dots(const mf_facts *f, mf_program *new, int32_t *moved) {
    const mf_program *old = f->program;
    mf_rewriting r;
    int32_t counts[3];
    if (mf_start_rewriting(&r, old, new))
        for (int32_t k = 0; !mf_has_failed(&r) && k < old->code.n; k++) {
            const mf_instruction *i = &old->code.items[k];
            r.moved[k] = mf_is_mixed(f, k, counts) ? mf_separated(&r, f, i, counts) : mf_copy(&r, k);
        }
    if (moved != NULL && !mf_has_failed(&r))
        memcpy(moved, r.moved, (size_t)old->code.n * sizeof *moved);
    mf_end_rewriting(&r);
}

#endif
