/* A program being rewritten into another one: what all passes are written with. */
#ifndef MF_REWRITE_H
#define MF_REWRITE_H

#include <string.h>

#include "program/program.h"

typedef struct {
    const mf_program *old;
    mf_program *new;
    int32_t *moved;   /* by old value the new one */
    mf_arena scratch; /* a pass's own */
} mf_rewriting;

/* Walks the old instructions and emits the new ones; ends early where memory runs out. */
typedef void mf_pass(mf_rewriting *r);

static inline int mf_has_failed(const mf_rewriting *r) { return r->new->failed || r->scratch.failed; }

/* False where memory has run out. */
static int mf_start_rewriting(mf_rewriting *r, const mf_program *old, mf_program *new) {
    *r = (mf_rewriting){old, new, NULL, {0}};
    *new = (mf_program){.n_inputs = old->n_inputs, .n_params = old->n_params, .failed = old->failed};
    mf_code_reserve(&new->code, old->code.n, &new->failed);
    mf_ints_reserve(&new->args, old->args.n, &new->failed);
    mf_doubles_reserve(&new->numbers, old->numbers.n, &new->failed);
    r->moved = (int32_t *)mf_taken(&r->scratch, (uint64_t)old->code.n, sizeof *r->moved);
    return !mf_has_failed(r);
}

static void mf_end_rewriting(mf_rewriting *r) {
    for (int32_t k = 0; !mf_has_failed(r) && k < r->old->outputs.n; k++)
        mf_ints_add(&r->new->outputs, r->moved[r->old->outputs.items[k]], &r->new->failed);
    r->new->failed |= r->scratch.failed;
    mf_arena_free(&r->scratch);
}

/* `new`, which holds nothing yet, becomes `old` as the pass rewrites it. moved: filled with the new
 * value of each old one, 0 of what is gone; NULL: not wanted. */
static void mf_rewrite(const mf_program *old, mf_pass *pass, mf_program *new, int32_t *moved) {
    mf_rewriting r;
    if (mf_start_rewriting(&r, old, new)) pass(&r);
    if (moved != NULL && !mf_has_failed(&r))
        memcpy(moved, r.moved, (size_t)old->code.n * sizeof *moved);
    mf_end_rewriting(&r);
}

/* Emits instruction k as it is, over moved operands. */
static int32_t mf_copy(mf_rewriting *r, int32_t k) {
    const mf_instruction *i = &r->old->code.items[k];
    const int32_t *moved = r->moved, start = r->new->args.n;
    if (i->op == MF_NUMBER) return mf_emit_number(r->new, r->old->numbers.items[i->x]);
    if (mf_is_given_op(i->op)) return mf_emit(r->new, i->op, i->x, MF_NO_VALUE, 0);
    if (!mf_has_args(i->op))
        return mf_emit(r->new, i->op, moved[i->x], mf_has_y(i->op) ? moved[i->y] : MF_NO_VALUE, 0);
    for (int32_t j = 0; j < mf_n_args(i); j++)
        mf_add_arg(r->new, moved[r->old->args.items[i->x + j]]);
    return mf_emit(r->new, i->op, start, i->y >= 0 ? moved[i->y] : MF_NO_VALUE, i->n);
}

/* Whether a value is a number, and which. */
static inline int mf_number_of(const mf_program *p, int32_t value, double *number) {
    if (value < 0 || p->code.items[value].op != MF_NUMBER) return 0;
    *number = p->numbers.items[p->code.items[value].x];
    return 1;
}

#endif
