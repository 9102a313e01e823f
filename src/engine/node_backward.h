/* One node's step of the backward pass, expanded from ops.h. */
#ifndef MF_NODE_BACKWARD_H
#define MF_NODE_BACKWARD_H

#include "base/absent.h"
#include "base/eval.h"
#include "engine/extremes.h"
#include "engine/node.h"

#define PROGRAM_OP OP
#define MF_LOAD_MF_UNARY(n) const double y = 0.0
#define MF_LOAD_MF_BINARY(n) const double y = data[(n)->y]
#define MF_LOAD_MF_PARAM(n) const double y = data[(n)->y]
#define MF_ADD_MF_UNARY(n, dy_) (void)0
#define MF_ADD_MF_BINARY(n, dy_) grad[(n)->y] += (dy_) * g
#define MF_ADD_MF_PARAM(n, dy_) (void)0

/* Adds the partials of node id times its grad to its operands'. On an error nothing is added; a
 * number that was an operand has no gradient that could fail: it gets what IEEE says. */
static inline int mf_node_backward(const mf_node *nodes, const double *data, double *grad,
                                   int32_t id) {
    const mf_node *const n = &nodes[id];
    const double g = grad[id], z = data[id];
    switch (n->op) {
#define OP(code, n_, l_, kind, z_, dx_, dy_, f_, bfails, ...)   \
    case MF_##code: {                                           \
        const double x = data[n->x];                            \
        MF_LOAD_##kind(n);                                      \
        (void)x, (void)y, (void)z;                              \
        const int error = (bfails);                             \
        if (error && !mf_is_number(&nodes[n->x])) return error; \
        const double dy = (dy_);                                \
        grad[n->x] += (dx_) * g;                                \
        (void)dy;                                               \
        MF_ADD_##kind(n, dy);                                   \
        return MF_OK;                                           \
    }
#include "ops.h"
#undef OP
    case MF_CUSTOM: /* without x: local gradients as numbers, on the links to the children */
        for (int32_t link = n->x < 0 ? n->y : MF_NONE; link >= 0; link = nodes[link].y)
            grad[nodes[link].x] += data[link] * g;
        return MF_OK;
    case MF_LARGEST:
    case MF_SMALLEST: mf_extreme_node_backward(nodes, data, grad, id); return MF_OK;
    default: return MF_OK; /* leaf, link: nothing of their own */
    }
}

/* Gives a node's operands a gradient, 0 where there was none. */
static inline void mf_give_operands_grads(const mf_node *nodes, double *grad, int32_t id) {
    int32_t x, y = id;
    do {
        id = y, x = nodes[id].x, y = nodes[id].y;
        if (x >= 0) grad[x] = mf_present(grad[x]);
    } while (y >= 0 && nodes[y].op == MF_LINK);
    if (y >= 0) grad[y] = mf_present(grad[y]);
}

/* The error that stands in the way of the partials of x and y, z being the result. */
static inline int mf_partials_fail(int op, double x, double y, double z) {
    (void)x, (void)y, (void)z;
    switch (op) {
#define OP(code, n_, l_, k_, z_, dx_, dy_, f_, bfails, ...) \
    case MF_##code: return (bfails);
#include "ops.h"
#undef OP
    default: return MF_OK;
    }
}
#undef PROGRAM_OP
#undef MF_LOAD_MF_UNARY
#undef MF_LOAD_MF_BINARY
#undef MF_LOAD_MF_PARAM
#undef MF_ADD_MF_UNARY
#undef MF_ADD_MF_BINARY
#undef MF_ADD_MF_PARAM

#endif
