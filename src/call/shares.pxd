# A call in shares, run by several threads (shares.h).
from libc.stdint cimport int32_t

from plan.step cimport mf_plan
from run.executor cimport mf_executor, mf_job, mf_workspace

cdef extern from "call/shares.h" nogil:
    ctypedef struct mf_share:
        const mf_executor *executor
        const mf_plan *plan
        const mf_job *job
        mf_workspace ws
        Py_ssize_t first, end
        int error
    ctypedef struct mf_worker:
        mf_worker *next
    bint mf_worker_start(mf_worker *w)
    void mf_worker_end(mf_worker *w)
    void mf_run_shares(mf_share *shares, int32_t n, mf_worker *crew)
    int mf_join_shares(mf_share *shares, int32_t n)
