# The modes in which ops do not record as usual (modes.h).
from libc.stdint cimport uint8_t

cdef extern from "engine/modes.h" nogil:
    int mf_n_special
    int mf_no_grad_depth
    int mf_trace_depth
    bint mf_no_grad_here()
    bint mf_tracing_here()
    uint8_t mf_special_flags(uint8_t flags)
