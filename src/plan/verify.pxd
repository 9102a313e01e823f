# The verifier of plans (verify.h).
from libc.stdint cimport int32_t, uint8_t

from plan.step cimport mf_plan

cdef extern from "plan/verify.h" nogil:
    enum:
        MF_SLOT_KNOWN
    const char *mf_plan_fault(const mf_plan *p, uint8_t *slots, const int32_t *slot_nodes,
                              int32_t *step)
