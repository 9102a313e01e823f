# The verifier of plans (verify.h).
from libc.stdint cimport int32_t, uint8_t

from plan.step cimport mf_plan

cdef extern from "plan/verify.h" nogil:
    const char *mf_plan_fault(const mf_plan *p, uint8_t *slots, int32_t *step)
    bint mf_mark_given(const mf_plan *p, uint8_t *slots)
