# Backward over what some results of a plan without lanes reach (reached.h).
from libc.stdint cimport int32_t

from plan.step cimport mf_plan, mf_range
from run.kernels cimport mf_kernels

cdef extern from "run/reached.h" nogil:
    ctypedef struct mf_reached:
        double *grads
        mf_range *ends
        int32_t n_ends
    bint mf_is_without_lanes(const mf_plan *p)
    bint mf_reached_make(mf_reached *t, const mf_plan *p)
    void mf_reached_free(mf_reached *t)
    void mf_reached_seed(mf_reached *t, int32_t output, double seed)
    void mf_reached_clear(mf_reached *t)
    void mf_reached_run(mf_reached *t, const mf_kernels *kernels, double *uniforms)
