# The verifiers of plans (verify.h, verify_values.h).
from libc.stdint cimport int32_t, uint8_t

from base.arena cimport mf_arena
from plan.step cimport mf_plan

cdef extern from "plan/verify.h" nogil:
    const char *mf_plan_fault(const mf_plan *p, uint8_t *slots, int32_t *step)
    bint mf_mark_given(const mf_plan *p, uint8_t *slots)

cdef extern from "plan/verify_values.h" nogil:
    const char *mf_values_fault(const mf_plan *whole, const mf_plan *values, mf_arena *memory,
                                int32_t *step)
