# The order of a graph and the backward pass (order.h).
from libc.stdint cimport int32_t

from engine.store cimport mf_order, mf_store

cdef extern from "engine/order.h" nogil:
    enum:
        MF_WALK_RESULTS
        MF_WALK_BACKWARD
        MF_WALK_TRACED
        MF_WALK_ALL
        MF_BACKWARD_DONE
        MF_BACKWARD_HOOKS
        MF_BACKWARD_NO_MEMORY
    bint mf_order_fill(mf_store *s, mf_order *order, int32_t root, int what)
    void mf_order_free(mf_order *order)
    void mf_order_return(mf_store *s, mf_order *order)
    bint mf_order_as_backward(mf_store *s, mf_order *order, int32_t root)
    int32_t mf_backward(mf_store *s, int32_t root, mf_order *order)
