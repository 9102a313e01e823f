# A run that takes the time of each step (profile.h).
from plan.step cimport mf_plan
from run.executor cimport mf_job, mf_workspace
from run.kernels cimport mf_kernels

cdef extern from "run/profile.h" nogil:
    ctypedef struct mf_profile:
        double *forward
        double *backward
    int mf_profile_run(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                       const mf_job *job, mf_profile *t)
    bint mf_is_small_exponent(double k)
