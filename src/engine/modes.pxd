# The modes in which ops do not record as usual (modes.h).
from base.array cimport mf_ints

cdef extern from "engine/modes.h" nogil:
    ctypedef struct mf_node_log:
        mf_ints ids
        int failed
    mf_node_log *mf_log_here
    int mf_n_modes
    int mf_no_grad_depth
    int mf_anomaly_depth
    int mf_trace_depth
    bint mf_no_grad_here()
    bint mf_anomaly_here()
    bint mf_tracing_here()
