/* A program in the words of the code that was traced: micrograd makes x - y of x + y * -1, -x of
 * x * -1 and x / y of x * y**-1. Nothing else is rewritten, so every other value is there as it was. */
#ifndef MF_SPELLED_H
#define MF_SPELLED_H

#include "program/rewrite.h"

/* By value: 1 where it is spelled by itself, for another line of the code made it. Lent to the pass. */
static const uint8_t *mf_spelled_apart = NULL;

/* Whether a value is `x op number`, which nothing but one other instruction uses; x. */
static int32_t mf_is_part(const mf_program *p, const int32_t *uses, int32_t value, int32_t op,
                          double number) {
    const mf_instruction *i = &p->code.items[value];
    double found = 0.0;
    if (mf_spelled_apart[value] || i->op != op || uses[value] != 1 || !mf_number_of(p, i->y, &found)) return MF_NO_VALUE;
    return found == number ? i->x : MF_NO_VALUE;
}

/* What instruction i is in the code: its op, operands and the part that goes into it. As itself where
 * it is nothing else. */
static mf_instruction mf_spelled(const mf_program *p, const int32_t *uses, const mf_instruction *i,
                                 int32_t *part) {
    double number = 0.0;
    *part = MF_NO_VALUE;
    if (i->op != MF_MUL && i->op != MF_ADD) return *i;
    const int is_sum = i->op == MF_ADD;
    for (int of_x = 0; of_x <= !is_sum; of_x++) { /* 1 / y is y**-1 * 1; -x + y is itself */
        const int32_t at = of_x ? i->x : i->y, other = of_x ? i->y : i->x;
        const int32_t x = mf_is_part(p, uses, at, is_sum ? MF_MUL : MF_POW, -1.0);
        if (x < 0 || at == other) continue;
        *part = at;
        return (mf_instruction){is_sum ? MF_SUB : MF_DIV, other, x, 0};
    }
    if (!is_sum && mf_number_of(p, i->y, &number) && number == -1.0)
        return (mf_instruction){MF_NEG, i->x, MF_NO_VALUE, 0};
    return *i;
}

/* A pass; no program that runs is made by it. */
static void mf_spell(mf_rewriting *r) {
    const mf_program *p = r->old;
    const int32_t *uses = mf_use_counts(p, &r->scratch);
    uint8_t *is_part = (uint8_t *)mf_taken(&r->scratch, (uint64_t)p->code.n, 1);
    int32_t part = MF_NO_VALUE;
    if (mf_has_failed(r)) return;
    for (int32_t k = p->code.n - 1; k >= 0; k--) { /* from above: a part has no parts */
        if (is_part[k]) continue;
        mf_spelled(p, uses, &p->code.items[k], &part);
        if (part >= 0) is_part[part] = 1;
    }
    for (int32_t k = 0; !mf_has_failed(r) && k < p->code.n; k++) {
        const mf_instruction *i = &p->code.items[k];
        const mf_instruction as = mf_spelled(p, uses, i, &part);
        if (is_part[k]) continue;
        if (as.op == i->op)
            r->moved[k] = mf_copy(r, k);
        else
            r->moved[k] = mf_emit(r->new, as.op, r->moved[as.x],
                                  mf_has_y(as.op) ? r->moved[as.y] : MF_NO_VALUE, 0);
    }
}

#endif
