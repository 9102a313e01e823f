# The modes in which ops do not record as usual (modes.h).
cdef extern from "engine/modes.h" nogil:
    int mf_n_modes
    int mf_no_grad_depth
    int mf_trace_depth
    bint mf_no_grad_here()
    bint mf_tracing_here()
