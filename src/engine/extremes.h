/* The largest or smallest of many operands as one node or step: equal ones share the gradient evenly,
 * which a chain of binary maxima cannot do (three equal ones would get 1/4, 1/4, 1/2). Operands that
 * lose get nothing. Where the result is nan all get nan, as from PyTorch's amax. */
#ifndef MF_EXTREMES_H
#define MF_EXTREMES_H

#include "base/eval.h"
#include "engine/node.h"

/* The operands hang on links (many_new). By their data of this moment, as every partial. */
static void mf_extreme_node_backward(const mf_node *nodes, const double *data, double *grad,
                                     int32_t id) {
    const mf_node *const top = &nodes[id];
    const double g = grad[id];
    double z = data[top->x], n_equal = 0.0;
    if (g == 0.0) return;
    for (int pass = 0; pass < 3; pass++) {
        const double share = n_equal > 0.0 ? g / n_equal : NAN;
        for (const mf_node *n = top;; n = &nodes[n->y]) {
            const int last = n->y < 0 || nodes[n->y].op != MF_LINK;
            for (int of_y = 0; of_y < 1 + (last && n->y >= 0); of_y++) {
                const int32_t k = of_y ? n->y : n->x;
                if (pass == 0) z = mf_extreme_of(top->op, z, data[k]);
                else if (pass == 1) n_equal += data[k] == z;
                else if (data[k] == z || n_equal == 0.0) grad[k] += share;
            }
            if (last) break;
        }
    }
}

#endif
