/* A gradient that is not there: what PyTorch calls None. It is -0.0 in the grad of a parameter, from
 * zero_grad(set_to_none=True) until backward comes to it or a program writes to it.
 *
 * A sum is -0.0 only where all its terms are. So adding 0.0 once makes a gradient of it that no sum
 * turns back, changes no other number, and is how a grad is shown. */
#ifndef MF_ABSENT_H
#define MF_ABSENT_H

#include <math.h>

#define MF_ABSENT (-0.0)

static inline int mf_is_absent(double grad) { return grad == 0.0 && signbit(grad); }
static inline double mf_present(double grad) { return grad + 0.0; }

#endif
