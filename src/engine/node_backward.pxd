# One node's step of the backward pass (node_backward.h).
from libc.stdint cimport int32_t

from engine.node cimport mf_node

cdef extern from "engine/node_backward.h" nogil:
    int mf_node_backward(const mf_node *nodes, const double *data, double *grad, int32_t id)
    void mf_give_operands_grads(const mf_node *nodes, double *grad, int32_t id)
    int mf_partials_fail(int op, double x, double y, double z)
