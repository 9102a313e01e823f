/* What backward does not reach contributes nothing, whatever it is: zero times infinity is not
 * computed. An adjoint of exactly 0 reaches nothing, and relu, maximum and minimum reach the operand
 * that they chose alone. Included by kernels.h, which has the ops. */
#ifndef MF_REACH_H
#define MF_REACH_H

#include "base/eval.h"

/* Whether both partials are finite whatever the numbers are: an adjoint of 0 then adds 0 anyway. */
static inline int mf_has_finite_partials(int op) { return mf_kind_of_partials(op) != MF_ANY; }

/* Whether a partial of 0 says that the operand was not chosen. */
static inline int mf_is_choice(int op) { return mf_kind_of_partials(op) == MF_CHOICE; }

/* What a partial and the adjoint of the result add to an operand's adjoint. The product comes first,
 * unconditionally, so that compilers make a blend of the rest; op is a constant in the kernels. */
static inline double mf_contribution(int op, double partial, double g) {
    const double product = partial * g;
    if (mf_is_choice(op)) return partial == 0.0 ? 0.0 : product;
    return mf_has_finite_partials(op) || g != 0.0 ? product : 0.0;
}

#endif
